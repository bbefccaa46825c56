//! Runs the machine code of a design. All that is unsafe in this crate is here.
use std::sync::{Arc, Mutex, PoisonError};

use cranelift_jit::JITModule;

use crate::compile::Code;

type Settle = unsafe extern "C" fn(*mut u64);
type Rise = unsafe extern "C" fn(*mut u64, u32);

/// Machine code, ready to run on any state of its layout.
pub(crate) struct Functions {
    settle: Vec<Settle>,
    rise: Rise,
    /// Words of a state.
    words: usize,
    /// Owns the memory of the code; taken when it is freed.
    module: Mutex<Option<JITModule>>,
}

impl Functions {
    /// For states of `words` words, which must be all that the code was compiled for.
    pub(crate) fn new(code: Code, words: usize) -> Self {
        let settle = code.settle.iter().map(|id| {
            let address = code.module.get_finalized_function(*id);
            // SAFETY: the address is that of a finished function which was compiled with exactly this signature and the machine's own
            // C calling convention.
            unsafe { std::mem::transmute::<*const u8, Settle>(address) }
        });
        let settle = settle.collect();
        let address = code.module.get_finalized_function(code.rise);
        // SAFETY: as above, for the function with a mask.
        let rise = unsafe { std::mem::transmute::<*const u8, Rise>(address) };
        Self {
            settle,
            rise,
            words,
            module: Mutex::new(Some(code.module)),
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        let module = self
            .module
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = module.take() {
            self.settle.clear();
            // SAFETY: the functions' addresses are known only here, no machine holds these functions any more, and none is called after this.
            unsafe { module.free_memory() }
        }
    }
}

/// Code with a state that it works on.
pub(crate) struct Machine {
    state: Vec<u64>,
    functions: Arc<Functions>,
}

impl Machine {
    /// # Panics
    /// If `state` has not the size that the code works on.
    pub(crate) fn new(functions: Arc<Functions>, state: Vec<u64>) -> Self {
        assert_eq!(state.len(), functions.words, "a state of another layout");
        Self { state, functions }
    }

    pub(crate) fn state(&self) -> &[u64] {
        &self.state
    }

    pub(crate) fn state_mut(&mut self) -> &mut [u64] {
        &mut self.state
    }

    /// One pass over the combinational logic.
    pub(crate) fn settle(&mut self) {
        let state = self.state.as_mut_ptr();
        for function in &self.functions.settle {
            // SAFETY: the code lives as long as `functions`; it reads and writes only at offsets of its layout, all of which lie in `state`
            // (checked when the machine was made), which nobody else touches meanwhile; indices into memories are checked by the code.
            unsafe { function(state) }
        }
    }

    /// The rising edge of the clocks in `mask`.
    pub(crate) fn rise(&mut self, mask: u32) {
        // SAFETY: as in `settle`.
        unsafe { (self.functions.rise)(self.state.as_mut_ptr(), mask) }
    }
}

//! The word list against a `VecDeque`.
use super::host::Rng;
use crate::common::verilator_lint;
use ferrule_rtl::{native::Native, queue::fifo::Fifo};
use proptest::prelude::*;
use std::collections::VecDeque;

proptest! {
    #![proptest_config(crate::common::cases(8))]
    #[test]
    fn keeps_words_in_order_and_counts_them(seed: u64, fill in 10u64..90) {
        let mut rng = Rng(seed);
        let mut n = Native::<Fifo>::default();
        let mut model = VecDeque::new();
        let mut hidden = 0;
        for cycle in 0..3000 {
            let u = &mut n.u;
            u.clock.next = false.into();
            let reset = cycle == 0 || cycle == 1500;
            u.reset.next = reset;
            let word = rng.next() as u32;
            let (push, pop) = (rng.percent(fill) && model.len() < 16, rng.percent(50));
            u.word.next = u64::from(word).into();
            u.push.next = push;
            u.pop.next = false;
            n.settle();
            prop_assert_eq!(n.u.full.val(), model.len() == 16);
            prop_assert_eq!(n.u.count.val().to_u32() as usize, model.len());
            // A word may stay hidden for one cycle after its push, not longer.
            let valid = n.u.valid.val();
            if cycle > 0 {
                prop_assert!(valid || model.is_empty() || hidden < 1, "hidden words at {}", cycle);
                prop_assert!(!valid || !model.is_empty());
            }
            hidden = if !valid && !model.is_empty() { hidden + 1 } else { 0 };
            if valid {
                prop_assert_eq!(n.u.front.val().to_u32(), model[0]);
            }
            n.u.pop.next = pop && valid;
            n.settle();
            if pop && valid {
                model.pop_front();
            }
            if push {
                model.push_back(word);
            }
            if reset {
                model.clear();
                hidden = 0;
            }
            n.u.clock.next = true.into();
            n.settle();
        }
    }
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<Fifo>("fifo").expect("emits");
    verilator_lint("fifo", &text);
}

//! For ThreadSanitizer to find: what it says of the other tests is worth what it says of this one.
use ferrule_driver::DmaBuf;

/// Words that each thread writes.
const WORDS: u32 = 10_000;

/// Two threads write to the same DMA memory, which nothing but a driver's order of doing things keeps apart.
#[test]
#[ignore = "cargo xtask tsan asks for it, which has to find it wrong"]
fn a_race_that_is_there_on_purpose() {
    let memory = DmaBuf::new(4_096).expect("memory");
    let threads = [0, 1].map(|_| {
        let memory = memory.clone();
        std::thread::spawn(move || (0..WORDS).for_each(|word| memory.store(0, word)))
    });
    for thread in threads {
        thread.join().expect("no panic");
    }
    assert_eq!(memory.load(0), WORDS - 1);
}

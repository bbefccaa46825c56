//! x
fn main() { let mut b = ferrule_driver_bench::Bench::new().unwrap(); for job in [ferrule_driver_bench::Job::Send, ferrule_driver_bench::Job::Receive, ferrule_driver_bench::Job::Forward] { for size in [8, 32] { println!("{job:?} {size} {:.1}", b.cycles(job, size).unwrap()); } } }

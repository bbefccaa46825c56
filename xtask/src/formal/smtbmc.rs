//! What yosys-smtbmc says.

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Nothing is violated.
    Passed,
    /// These assertions are violated in the last step of the trace.
    Failed { step: u32, labels: Vec<String> },
    /// No input satisfies the assumptions.
    Contradiction,
}

/// The verdict of a run that printed `log`; none if it did not come to one.
pub(super) fn verdict(log: &str) -> Option<Verdict> {
    // Each line begins with `##` and a time.
    let said = || {
        log.lines()
            .filter_map(|line| line.strip_prefix("##"))
            .filter_map(|line| line.trim_start().split_once(char::is_whitespace))
            .map(|(_time, text)| text.trim())
    };
    let status = said()
        .filter_map(|text| text.strip_prefix("Status: "))
        .next_back()?;
    match status {
        "PASSED" => Some(Verdict::Passed),
        "PREUNSAT" => Some(Verdict::Contradiction),
        "FAILED" => {
            // `Assert failed in dut: bound.label`, in later versions with a place behind it.
            let labels = said()
                .filter_map(|text| text.strip_prefix("Assert failed in "))
                .filter_map(|text| text.split_once(": ").map(|(_, what)| what))
                .map(|what| what.split_whitespace().next().unwrap_or_default())
                .map(|path| path.rsplit('.').next().unwrap_or(path).to_owned())
                .collect();
            let step = said()
                .filter_map(|text| text.strip_prefix("Checking assertions in step "))
                .filter_map(|text| text.trim_end_matches('.').parse().ok())
                .next_back()
                .unwrap_or(0);
            Some(Verdict::Failed { step, labels })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_one() {
        let log = "##   0:00:00  Solver: z3\n##   0:00:00  Temporal induction successful.\n##   0:00:01  Status: PASSED\n";
        assert_eq!(verdict(log), Some(Verdict::Passed));
    }

    #[test]
    fn a_failure_names_step_and_assertions() {
        let log = "##   0:00:00  Checking assumptions in step 16..\n\
            ##   0:00:00  Checking assertions in step 16..\n\
            ##   0:00:04  BMC failed!\n\
            ##   0:00:04  Assert failed in dut: bound.overflow\n\
            ##   0:00:04  Assert failed in dut: bound.counted (checker.sv:30.9-30.12)\n\
            ##   0:00:04  Writing trace to VCD file: trace.vcd\n\
            ##   0:00:04  Status: FAILED\n";
        let labels = vec!["overflow".into(), "counted".into()];
        assert_eq!(verdict(log), Some(Verdict::Failed { step: 16, labels }));
    }

    #[test]
    fn assumptions_that_contradict_each_other_are_no_pass() {
        let log = "##   0:00:00  Assumptions are unsatisfiable!\n##   0:00:00  Status: PREUNSAT\n";
        assert_eq!(verdict(log), Some(Verdict::Contradiction));
    }

    #[test]
    fn a_run_that_was_cut_off_has_no_verdict() {
        assert_eq!(
            verdict("##   0:00:00  Checking assertions in step 3..\n"),
            None
        );
        assert_eq!(verdict(""), None);
    }
}

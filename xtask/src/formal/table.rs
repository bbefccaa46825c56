//! What is checked: each property with its module, its checker, how it is proved, and the faults that must break it.
mod buffers;
mod mac;
mod paths;
mod pcie;
mod queues;

use super::property::Property;

/// All properties.
pub(super) fn properties() -> impl Iterator<Item = &'static Property> {
    [
        buffers::PROPERTIES,
        paths::PROPERTIES,
        mac::PROPERTIES,
        queues::PROPERTIES,
        pcie::PROPERTIES,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formal::{bind, modules::TOP, mutant};

    #[test]
    fn names_are_said_once() {
        for (number, property) in properties().enumerate() {
            assert!(
                properties().take(number).all(|p| p.name != property.name),
                "{}",
                property.name
            );
            for (number, fault) in property.mutants.iter().enumerate() {
                let others = &property.mutants[..number];
                assert!(
                    others.iter().all(|m| m.name != fault.name),
                    "{}",
                    fault.name
                );
            }
        }
    }

    #[test]
    fn each_property_has_a_fault_that_breaks_one_of_its_assertions() {
        for property in properties() {
            assert!(!property.mutants.is_empty(), "{}", property.name);
            for fault in property.mutants {
                let label = format!(" {}: assert (", fault.breaks);
                assert!(
                    property.checker.contains(&label),
                    "{}: {label}",
                    property.name
                );
            }
        }
    }

    #[test]
    fn each_checker_binds_and_each_fault_finds_its_place_in_the_exported_verilog() {
        for property in properties() {
            let design = property.module.export().expect("exports");
            bind::bind(&design, TOP, property.name, property.checker).expect("binds");
            for fault in property.mutants {
                if let Err(e) = mutant::apply(&design, property.name, fault) {
                    panic!("{e}");
                }
            }
        }
    }

    #[test]
    fn each_checker_says_in_its_first_line_what_it_is() {
        for property in properties() {
            assert!(property.checker.starts_with("// The "), "{}", property.name);
        }
    }
}

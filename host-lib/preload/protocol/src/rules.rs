//! Which programs and which ports go to the NIC, and which stay with the kernel: lists that the environment of preloaded programs carries.
use std::fmt::{self, Display};
use std::str::FromStr;

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Ports: `80`, `8000-8999`, or of one transport alone, `53/udp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
    transport: Option<Transport>,
}

impl Ports {
    fn contain(self, port: u16, transport: Transport) -> bool {
        let right = self.transport.is_none_or(|own| own == transport);
        right && (self.first..=self.last).contains(&port)
    }
}

impl Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        f.write_str(match self.transport {
            None => "",
            Some(Transport::Tcp) => "/tcp",
            Some(Transport::Udp) => "/udp",
        })
    }
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRule {
    /// Not ports.
    Ports(String),
    /// Not a program's name.
    Program(String),
    /// Not a list.
    List(String),
}

impl Display for NoRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(text) => write!(f, "{text:?} is no port: write 80, 8000-8999 or 53/udp, with ports from 1 to 65535"),
            Self::Program(text) => write!(f, "{text:?} is no program's name: write that of its file, as nginx, without its folder"),
            Self::List(text) => write!(f, "{text:?} is no list of rules: write programs.nic=, programs.kernel=, ports.nic= or ports.kernel= before names or ports with commas between them"),
        }
    }
}

impl std::error::Error for NoRule {}

impl FromStr for Ports {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let no = || NoRule::Ports(text.to_owned());
        let port = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let port = text.parse().ok().filter(|port| *port > 0 && digits);
            port.ok_or_else(no)
        };
        let (range, transport) = match text.split_once('/') {
            None => (text, None),
            Some((range, "tcp")) => (range, Some(Transport::Tcp)),
            Some((range, "udp")) => (range, Some(Transport::Udp)),
            Some(_) => return Err(no()),
        };
        let (first, last) = match range.split_once('-') {
            None => (port(range)?, port(range)?),
            Some((first, last)) => (port(first)?, port(last)?),
        };
        if first > last {
            return Err(no());
        }
        Ok(Self {
            first,
            last,
            transport,
        })
    }
}

/// A program's name: that of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(String);

impl Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Program {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let bad = |c: char| matches!(c, '/' | ',' | ';') || c.is_control();
        if text.is_empty() || text.contains(bad) {
            return Err(NoRule::Program(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

/// What goes where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists<T> {
    /// If there are any, these alone go to the NIC.
    pub nic: Vec<T>,
    /// These stay with the kernel, whatever the other list says.
    pub kernel: Vec<T>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self {
            nic: vec![],
            kernel: vec![],
        }
    }
}

impl<T> Lists<T> {
    fn take(&self, is: impl Fn(&T) -> bool) -> bool {
        (self.nic.is_empty() || self.nic.iter().any(&is)) && !self.kernel.iter().any(&is)
    }

    fn is_empty(&self) -> bool {
        self.nic.is_empty() && self.kernel.is_empty()
    }
}

/// All rules. By default everything goes to the NIC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// By a program's name.
    pub programs: Lists<Program>,
    /// By a port: the one that a socket connects or sends to, or else the one that it is bound to.
    pub ports: Lists<Ports>,
}

impl Rules {
    /// The variable of the environment that holds them.
    pub const VARIABLE: &'static str = "FERRULE_RULES";

    /// Whether everything goes to the NIC.
    pub fn is_empty(&self) -> bool {
        self.programs.is_empty() && self.ports.is_empty()
    }

    /// Whether a program that has all these names goes to the NIC.
    pub fn take_program(&self, names: &[&str]) -> bool {
        self.programs.take(|program| names.contains(&&*program.0))
    }

    /// Whether a port goes to the NIC.
    pub fn take_port(&self, port: u16, transport: Transport) -> bool {
        self.ports.take(|ports| ports.contain(port, transport))
    }

    /// As the environment holds them: `ports.kernel=22,53/udp;programs.nic=nginx`.
    pub fn to_setting(&self) -> String {
        let lists = [
            ("programs.nic", texts(&self.programs.nic)),
            ("programs.kernel", texts(&self.programs.kernel)),
            ("ports.nic", texts(&self.ports.nic)),
            ("ports.kernel", texts(&self.ports.kernel)),
        ];
        let lists = lists.iter().filter(|(_, list)| !list.is_empty());
        let lists: Vec<_> = lists.map(|(name, list)| format!("{name}={list}")).collect();
        lists.join(";")
    }
}

fn texts<T: Display>(list: &[T]) -> String {
    let texts: Vec<_> = list.iter().map(T::to_string).collect();
    texts.join(",")
}

fn list<T: FromStr<Err = NoRule>>(text: &str) -> Result<Vec<T>, NoRule> {
    text.split(',').map(|item| item.trim().parse()).collect()
}

impl FromStr for Rules {
    type Err = NoRule;

    fn from_str(text: &str) -> Result<Self, NoRule> {
        let mut rules = Self::default();
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let no = || NoRule::List(part.to_owned());
            let (name, items) = part.split_once('=').ok_or_else(no)?;
            match name.trim() {
                "programs.nic" => rules.programs.nic = list(items)?,
                "programs.kernel" => rules.programs.kernel = list(items)?,
                "ports.nic" => rules.ports.nic = list(items)?,
                "ports.kernel" => rules.ports.kernel = list(items)?,
                _ => return Err(no()),
            }
        }
        Ok(rules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(text: &str) -> Rules {
        text.parse().expect("rules")
    }

    #[test]
    fn what_the_lists_do_not_name_goes_where_they_leave_it() {
        use Transport::{Tcp, Udp};
        let all = rules("");
        assert!(all.is_empty() && all.take_program(&["ssh"]) && all.take_port(22, Tcp));
        let but = rules("ports.kernel=22,53/udp,8000-8010;programs.kernel=ssh, git");
        for (port, transport, nic) in [
            (22, Tcp, false),
            (22, Udp, false),
            (53, Tcp, true),
            (53, Udp, false),
            (7999, Tcp, true),
            (8000, Tcp, false),
            (8010, Udp, false),
            (8011, Udp, true),
        ] {
            assert_eq!(but.take_port(port, transport), nic, "{port} {transport:?}");
        }
        assert!(!but.take_program(&["ssh"]) && !but.take_program(&["script", "git"]));
        assert!(but.take_program(&["sshd"]));
        let only = rules("ports.nic=80-90/tcp;ports.kernel=85;programs.nic=nginx");
        assert!(only.take_port(80, Tcp) && !only.take_port(85, Tcp) && !only.take_port(91, Tcp));
        assert!(!only.take_port(80, Udp));
        assert!(only.take_program(&["nginx"]) && !only.take_program(&["curl"]));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for bad in [
            "", "0", "65536", "-1", "+1", "80-", "9-8", "80/sctp", "http", "80 ",
        ] {
            assert_eq!(bad.parse::<Ports>(), Err(NoRule::Ports(bad.to_owned())));
        }
        for bad in ["", "/usr/bin/ssh", "a,b", "a;b", "a\n"] {
            assert_eq!(bad.parse::<Program>(), Err(NoRule::Program(bad.to_owned())));
        }
        for bad in ["ports", "ports.both=80", "=", "nic=80"] {
            assert_eq!(bad.parse::<Rules>(), Err(NoRule::List(bad.to_owned())));
        }
    }

    fn ports() -> impl Strategy<Value = Ports> {
        let transport = [None, Some(Transport::Tcp), Some(Transport::Udp)];
        let transport = prop::sample::select(transport.to_vec());
        (1..=u16::MAX, 1..=u16::MAX, transport).prop_map(|(a, b, transport)| Ports {
            first: a.min(b),
            last: a.max(b),
            transport,
        })
    }

    fn lists<T: fmt::Debug>(
        item: impl Strategy<Value = T> + Clone,
    ) -> impl Strategy<Value = Lists<T>> {
        let some = prop::collection::vec(item, 0..4);
        (some.clone(), some).prop_map(|(nic, kernel)| Lists { nic, kernel })
    }

    proptest! {
        #[test]
        fn rules_survive_the_environment(programs in lists("[a-z=. -]{0,8}[a-z]".prop_map(|name| Program(name.trim().to_owned()))), ports in lists(ports().boxed())) {
            let rules = Rules { programs, ports };
            prop_assert_eq!(rules.to_setting().parse(), Ok(rules.clone()));
        }
    }
}

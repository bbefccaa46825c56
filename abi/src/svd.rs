//! The registers as a CMSIS-SVD description (schema 1.3), printed from the tables: for debuggers and code generators.
use crate::bank::{BankInfo, BANKS};
use crate::{regs, Access, Register};
use core::fmt::{Display, Formatter, Result, Write};

/// Displays as the text of an SVD file.
pub struct Svd;

/// Text between tags.
struct Text(&'static str);

impl Display for Text {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            c => f.write_char(c),
        })
    }
}

fn access(a: Access) -> &'static str {
    match a {
        Access::Ro => "read-only",
        Access::Rw => "read-write",
        Access::Wo => "write-only",
    }
}

/// What may be done to a register as a whole.
fn of_register(r: &Register) -> Access {
    let all = |a| r.fields.iter().all(|x| x.access == a);
    match () {
        () if all(Access::Ro) => Access::Ro,
        () if all(Access::Wo) => Access::Wo,
        () => Access::Rw,
    }
}

fn register(f: &mut Formatter<'_>, r: &Register) -> Result {
    writeln!(f, "        <register>")?;
    if r.count > 1 {
        writeln!(f, "          <dim>{}</dim>", r.count)?;
        writeln!(f, "          <dimIncrement>{}</dimIncrement>", r.stride)?;
    }
    // An array's elements lie side by side; what lies between others makes a list of them.
    let suffix = match (r.count, r.stride) {
        (1, _) => "",
        (_, 4) => "[%s]",
        _ => "%s",
    };
    writeln!(f, "          <name>{}{suffix}</name>", r.name)?;
    writeln!(f, "          <description>{}</description>", Text(r.doc))?;
    writeln!(
        f,
        "          <addressOffset>0x{:03X}</addressOffset>",
        r.offset
    )?;
    writeln!(f, "          <access>{}</access>", access(of_register(r)))?;
    writeln!(f, "          <resetValue>0x{:08X}</resetValue>", r.reset)?;
    writeln!(f, "          <fields>")?;
    for x in r.fields {
        writeln!(f, "            <field>")?;
        writeln!(f, "              <name>{}</name>", x.name)?;
        writeln!(
            f,
            "              <description>{}</description>",
            Text(x.doc)
        )?;
        writeln!(f, "              <bitOffset>{}</bitOffset>", x.field.lo)?;
        writeln!(f, "              <bitWidth>{}</bitWidth>", x.field.width)?;
        writeln!(f, "              <access>{}</access>", access(x.access))?;
        writeln!(f, "            </field>")?;
    }
    writeln!(f, "          </fields>")?;
    writeln!(f, "        </register>")
}

fn peripheral(f: &mut Formatter<'_>, bank: &BankInfo) -> Result {
    writeln!(f, "    <peripheral>")?;
    let count = bank.count(regs::QUEUE_PAIRS);
    let suffix = match count {
        1 => "",
        _ => "%s",
    };
    if count > 1 {
        writeln!(f, "      <dim>{count}</dim>")?;
        writeln!(f, "      <dimIncrement>0x{:X}</dimIncrement>", bank.stride)?;
    }
    writeln!(f, "      <name>{}{suffix}</name>", bank.name)?;
    writeln!(f, "      <description>{}</description>", Text(bank.doc))?;
    writeln!(f, "      <baseAddress>0x{:05X}</baseAddress>", bank.base)?;
    writeln!(f, "      <addressBlock>")?;
    writeln!(f, "        <offset>0x0</offset>")?;
    writeln!(f, "        <size>0x{:X}</size>", bank.bytes)?;
    writeln!(f, "        <usage>registers</usage>")?;
    writeln!(f, "      </addressBlock>")?;
    writeln!(f, "      <registers>")?;
    for r in bank.registers {
        register(f, r)?;
    }
    writeln!(f, "      </registers>")?;
    writeln!(f, "    </peripheral>")
}

impl Display for Svd {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (major, minor) = (
            regs::version::MAJOR.get(regs::VERSION),
            regs::version::MINOR.get(regs::VERSION),
        );
        writeln!(f, "<?xml version=\"1.0\" encoding=\"utf-8\"?>")?;
        writeln!(f, "<device schemaVersion=\"1.3\" xmlns:xs=\"http://www.w3.org/2001/XMLSchema-instance\" xs:noNamespaceSchemaLocation=\"CMSIS-SVD.xsd\">")?;
        writeln!(f, "  <name>FERRULE</name>")?;
        writeln!(f, "  <version>{major}.{minor}</version>")?;
        writeln!(f, "  <description>BAR0 of the Ferrule NIC, of one port with all queue pairs that there can be; PORT.CAPS.QUEUES says how many there are. Addresses are offsets in it.</description>")?;
        writeln!(f, "  <addressUnitBits>8</addressUnitBits>")?;
        writeln!(f, "  <width>32</width>")?;
        writeln!(f, "  <size>32</size>")?;
        writeln!(f, "  <access>read-write</access>")?;
        writeln!(f, "  <resetValue>0x00000000</resetValue>")?;
        writeln!(f, "  <resetMask>0xFFFFFFFF</resetMask>")?;
        writeln!(f, "  <peripherals>")?;
        for bank in &BANKS {
            peripheral(f, bank)?;
        }
        writeln!(f, "  </peripherals>")?;
        writeln!(f, "</device>")
    }
}

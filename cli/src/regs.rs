//! `ferrule regs`: the registers of a NIC as they are, and their description for others.
use std::collections::BTreeMap;

use comfy_table::{presets::UTF8_BORDERS_ONLY, Table};
use ferrule_abi::bank::{places, Place, BANKS};
use ferrule_abi::c_header::CHeader;
use ferrule_abi::reference::Reference;
use ferrule_abi::svd::Svd;
use ferrule_abi::{counter, regs, Access};
use ferrule_driver::nic::RawNic;
use serde::Serialize;

use crate::args::{ExportFormat, Regs, RegsCommand, RegsDump};
use crate::device::Nics;
use crate::error::Error;
use crate::output;

/// Does what is asked.
///
/// # Errors
/// When there is no NIC, or nothing can be written.
pub(crate) fn run(args: &Regs) -> Result<(), Error> {
    match &args.command {
        RegsCommand::Dump(args) => dump(args),
        RegsCommand::Export(args) => match args.format {
            ExportFormat::C => output::text(&CHeader),
            ExportFormat::Svd => output::text(&Svd),
            ExportFormat::Md => output::text(&Reference),
            ExportFormat::Json => output::json(&Map::new()),
        },
    }
}

/// A register as it is.
#[derive(Serialize)]
struct Value {
    name: String,
    /// In BAR0.
    offset: u32,
    value: u32,
    reset: u32,
    fields: BTreeMap<&'static str, u32>,
    #[serde(skip)]
    text: String,
    #[serde(skip)]
    is_plain_element: bool,
}

impl Value {
    fn read(nic: &mut RawNic, place: &Place) -> Result<Self, Error> {
        let value = nic.read(place.offset())?;
        let register = place.register;
        // Bits that act read 0 always.
        let fields = || {
            let all = register.fields.iter();
            all.filter(|x| x.access != Access::Wo)
        };
        let text = fields()
            .map(|x| match x.field.width {
                1..=3 => format!("{}={}", x.name, x.field.get(value)),
                _ => format!("{}={:#x}", x.name, x.field.get(value)),
            })
            .collect::<Vec<_>>()
            .join(" ");
        Ok(Self {
            name: place.to_string(),
            offset: place.offset(),
            value,
            reset: register.reset,
            fields: fields().map(|x| (x.name, x.field.get(value))).collect(),
            text,
            is_plain_element: register.count > 1 && value == register.reset,
        })
    }
}

fn dump(args: &RegsDump) -> Result<(), Error> {
    let nics = Nics::find(&args.device)?;
    let mut nic = nics.raw()?;
    let pairs = regs::caps::QUEUES.get(nic.read(regs::caps::OFFSET)?);
    let mut values = places(pairs)
        .map(|place| Value::read(&mut nic, &place))
        .collect::<Result<Vec<_>, _>>()?;
    drop(nic);
    nics.end()?;
    values.retain(|v| args.all || !v.is_plain_element);
    if args.json {
        return output::json(&values);
    }
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY);
    table.set_header(["offset", "register", "value", "fields"]);
    for v in &values {
        table.add_row([
            format!("{:#07x}", v.offset),
            v.name.clone(),
            format!("{:#010x}", v.value),
            v.text.clone(),
        ]);
    }
    output::text(&table)
}

/// The description, as JSON.
#[derive(Serialize)]
struct Map {
    version: u32,
    banks: Vec<BankOut>,
    counters: Vec<CounterOut>,
}

#[derive(Serialize)]
struct BankOut {
    name: &'static str,
    doc: &'static str,
    /// In BAR0, of queue 0.
    base: u32,
    /// One for each queue.
    count: u32,
    /// From one queue's to the next one's.
    stride: u32,
    registers: Vec<RegisterOut>,
}

#[derive(Serialize)]
struct RegisterOut {
    name: &'static str,
    doc: &'static str,
    offset: u32,
    count: u32,
    stride: u32,
    reset: u32,
    fields: Vec<FieldOut>,
}

#[derive(Serialize)]
struct FieldOut {
    name: &'static str,
    doc: &'static str,
    lo: u8,
    width: u8,
    access: &'static str,
}

#[derive(Serialize)]
struct CounterOut {
    index: u32,
    name: &'static str,
    doc: &'static str,
}

impl Map {
    fn new() -> Self {
        let field = |x: &ferrule_abi::FieldInfo| FieldOut {
            name: x.name,
            doc: x.doc,
            lo: x.field.lo,
            width: x.field.width,
            access: x.access.name(),
        };
        let register = |r: &ferrule_abi::Register| RegisterOut {
            name: r.name,
            doc: r.doc,
            offset: r.offset,
            count: r.count,
            stride: r.stride,
            reset: r.reset,
            fields: r.fields.iter().map(field).collect(),
        };
        let bank = |b: &ferrule_abi::bank::BankInfo| BankOut {
            name: b.name,
            doc: b.doc,
            base: b.base,
            count: b.count(regs::QUEUE_PAIRS),
            stride: b.stride,
            registers: b.registers.iter().map(register).collect(),
        };
        let counter = |c: &counter::Counter| CounterOut {
            index: c.index,
            name: c.name,
            doc: c.doc,
        };
        Self {
            version: regs::VERSION,
            banks: BANKS.iter().map(bank).collect(),
            counters: counter::ALL.iter().map(counter).collect(),
        }
    }
}

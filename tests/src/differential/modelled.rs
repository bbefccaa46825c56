//! The model as a subject.
use ferrule_sim::model::{Bus, Model};
use ferrule_sim::root_complex::Access;

use super::subject::{Host, HostSetup, Left, Subject, BOARD_MAC};
use super::traffic::Line;

/// What lies between the model and its host: nothing, or a fault planted on purpose.
pub trait Between {
    /// The name behind the model's.
    fn name(&self) -> &'static str;
    /// An access on its way to the model.
    fn access(&mut self, access: Access) -> Access;
    /// The bus that the model sees.
    fn with_bus(&mut self, bus: &mut dyn Bus, call: &mut dyn FnMut(&mut dyn Bus));
}

/// Nothing.
#[derive(Default)]
pub struct Straight;

impl Between for Straight {
    fn name(&self) -> &'static str {
        ""
    }
    fn access(&mut self, access: Access) -> Access {
        access
    }
    fn with_bus(&mut self, bus: &mut dyn Bus, call: &mut dyn FnMut(&mut dyn Bus)) {
        call(bus);
    }
}

/// The subject.
pub struct Modelled<B> {
    model: Model,
    host: Host,
    between: B,
    now_ns: u64,
    lines: Vec<Line>,
    sent: Vec<Left>,
}

impl<B: Between> Modelled<B> {
    /// A model behind `between`.
    pub fn new(between: B) -> Self {
        let mut model = Model::new(BOARD_MAC);
        // Its clock stands, so that the wire may not take time.
        model.set_byte_ns(0);
        Self {
            model,
            host: Host::none(),
            between,
            now_ns: 0,
            lines: vec![],
            sent: vec![],
        }
    }

    fn with_model(&mut self, mut call: impl FnMut(&mut Model, &mut dyn Bus, u64)) {
        let (model, now_ns) = (&mut self.model, self.now_ns);
        self.between
            .with_bus(&mut self.host.root_complex, &mut |bus| {
                call(model, bus, now_ns);
            });
    }

    fn collect(&mut self) {
        let mut sent = vec![];
        self.with_model(|model, bus, now_ns| {
            while let Some(frame) = model.transmit(bus, now_ns) {
                sent.push(Left::Frame(frame));
            }
        });
        self.sent.extend(sent);
    }

    fn access(&mut self) -> bool {
        let Some(access) = self.host.root_complex.next_access() else {
            return false;
        };
        match self.between.access(access) {
            Access::Write {
                bar,
                offset,
                first_be,
                value,
            } => self.with_model(|model, bus, now_ns| {
                model.write_register(bus, now_ns, bar, offset, first_be, value);
            }),
            Access::Block {
                bar,
                offset,
                values,
            } => self.with_model(|model, bus, now_ns| {
                model.write_block(bus, now_ns, bar, offset, &values);
            }),
            Access::Read {
                id,
                bar,
                offset,
                first_be,
            } => {
                let value = self.model.read_register(self.now_ns, bar, offset, first_be);
                self.host.root_complex.answer_read(id, value);
            }
        }
        true
    }
}

impl<B: Between> Subject for Modelled<B> {
    fn name(&self) -> String {
        format!("model{}", self.between.name())
    }

    fn begin(&mut self, setup: &HostSetup) {
        self.host = Host::new(setup);
        self.lines.clear();
        self.sent.clear();
        self.model.set_link(false, 0);
    }

    fn host(&mut self) -> &mut Host {
        &mut self.host
    }

    fn set_time(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    fn set_link(&mut self, up: bool, speed: u8) {
        self.model.set_link(up, speed);
    }

    fn receive(&mut self, line: &Line) {
        self.lines.push(line.clone());
    }

    fn run(&mut self, _: u64) {}

    fn settle(&mut self) -> Result<(), String> {
        if self.host.root_complex.take_reset() {
            self.model.reset();
        }
        while self.access() {
            self.collect();
        }
        for line in std::mem::take(&mut self.lines) {
            self.with_model(|model, bus, now_ns| match &line.clean {
                Some(frame) => model.receive(bus, now_ns, frame),
                None => model.receive_line(bus, now_ns, &line.byte_times),
            });
            self.collect();
        }
        self.with_model(|model, bus, now_ns| model.poll(bus, now_ns));
        self.collect();
        Ok(())
    }

    fn take_sent(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.sent)
    }

    fn deadline(&self) -> Option<u32> {
        self.model.deadline_ticks()
    }
}

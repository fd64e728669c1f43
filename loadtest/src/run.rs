//! One run: settings become a scenario and a target, the observer watches, and what comes out is judged.

use crate::cli::RunArgs;
use crate::envelope::MIN_BYTES;
use crate::environment::Environment;
use crate::error::{LoadError, Result};
use crate::live::Live;
use crate::observer::{Observer, Subject};
use crate::outcome::Outcome;
use crate::reactor::{self, Dialect, Target};
use crate::scenarios::{Connect, Idle, Layout, Pace, Plan, Scenario, Traffic};
use crate::server::Inquirer;
use crate::settings::{ScenarioArgs, Settings, check_connections, check_layout};
use crate::sys;
use crate::threshold;

/// Carries out what the settings describe.
pub fn run(settings: &Settings, args: &RunArgs) -> Result<Outcome> {
    let run = Run { settings, args };
    match &settings.scenario {
        ScenarioArgs::Echo(args) => {
            run.traffic("echo", Layout::alone(args.connections), Pace::PerPublisher, Dialect::Hashi)
        }
        ScenarioArgs::RawEcho(args) => {
            run.traffic("raw-echo", Layout::alone(args.connections), Pace::PerPublisher, Dialect::Raw)
        }
        ScenarioArgs::Fanout(args) => {
            let receivers = check_connections(args.connections, 1)?;
            run.traffic("fanout", Layout::fanout(receivers), Pace::InAll, Dialect::Hashi)
        }
        ScenarioArgs::Rooms(args) => {
            let members = check_connections(args.members, 1)?;
            let layout = Layout::rooms(check_connections(args.rooms, 1)?, members);
            run.traffic("rooms", layout, Pace::InAll, Dialect::Hashi)
        }
        ScenarioArgs::Idle(args) => {
            let plan = settings.plan_without_load()?;
            let scenario = Idle::new(check_connections(args.connections, 5)?, plan.measured_ns());
            run.start(scenario, &plan, run.target(Dialect::Hashi, MIN_BYTES)?)
        }
        ScenarioArgs::Connect(args) => {
            let plan = settings.plan_without_load()?;
            let scenario = Connect::new(check_connections(args.connections, 1)?, plan.clone());
            let target = Target { opening_at_once: args.connections, ..run.target(Dialect::Hashi, MIN_BYTES)? };
            run.start(scenario, &plan, target)
        }
    }
}

struct Run<'a> {
    settings: &'a Settings,
    args: &'a RunArgs,
}

impl Run<'_> {
    fn traffic(
        &self,
        name: &'static str,
        layout: Layout,
        closed: fn(usize) -> Pace,
        dialect: Dialect,
    ) -> Result<Outcome> {
        let plan = self.settings.plan(closed)?;
        let target = self.target(dialect, self.settings.message_bytes()?)?;
        self.start(Traffic::new(name, check_layout(layout)?, plan.clone()), &plan, target)
    }

    fn target(&self, dialect: Dialect, message_bytes: usize) -> Result<Target> {
        self.settings.target.target(dialect, message_bytes, self.args.server_pid)
    }

    fn start(&self, scenario: impl Scenario, plan: &Plan, target: Target) -> Result<Outcome> {
        // A server without envelopes has no status either.
        let mut inquirer = (target.dialect == Dialect::Hashi).then(|| Inquirer::new(&target.host));
        let server = inquirer.as_mut().and_then(Inquirer::identity);
        let environment = Environment::here(&self.settings.target.url, server);
        let inquirer = inquirer.filter(|_| environment.server.is_some());
        let live = self.args.output.is_live().then(|| Live::new(plan));
        let show = move |point: &_| live.iter().for_each(|live| live.show(point));
        // Before the harness is bound to its processor, which threads inherit.
        let observer = Observer::start(Subject { server_pid: target.server_pid, inquirer }, show)?;
        prepare(self.args.pin)?;
        let ended = reactor::run(scenario, target, observer.ticks.clone());
        let recording = observer.finish();
        let report = ended?;
        let verdicts = threshold::judge(&self.settings.thresholds, &self.settings.phase_thresholds(), &report);
        Ok(Outcome::new(report, recording, environment, verdicts))
    }
}

/// Raises limits and binds this thread to a processor.
pub fn prepare(pin: Option<usize>) -> Result<()> {
    sys::raise_open_files().map_err(|error| LoadError::System("the limit of open files", error))?;
    match pin {
        Some(cpu) => sys::pin_to_cpu(cpu).map_err(|error| LoadError::System("--pin", error)),
        None => Ok(()),
    }
}

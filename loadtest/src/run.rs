//! One run: settings become a scenario and a target, the observer watches, and what comes out is judged.

use crate::cli::RunArgs;
use crate::envelope::MIN_BYTES;
use crate::environment::Environment;
use crate::error::{LoadError, Result};
use crate::live::Live;
use crate::observer::{Observer, Subject};
use crate::outcome::Outcome;
use crate::reactor::{self, Dialect, Target};
use crate::scenarios::{Connect, Idle, Layout, Mixed, Operations, Pace, Plan, Rest, Scenario, Slow, Storm, Traffic};
use crate::server::Inquirer;
use crate::settings::{
    MixedArgs, OperationsArgs, RestArgs, ScenarioArgs, Settings, SlowArgs, StormArgs, check_connections, check_layout,
};
use crate::sys;
use crate::threshold;

/// Messages per second of `slow` and of `operations`, where the load does not say.
const SLOW_RATE: f64 = 200.0;
const OPERATIONS_RATE: f64 = 2400.0;

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
        ScenarioArgs::MixedPriority(args) => run.mixed_priority(args),
        ScenarioArgs::Operations(args) => run.operations(args),
        ScenarioArgs::Slow(args) => run.slow(args),
        ScenarioArgs::Rest(args) => run.rest(args),
        ScenarioArgs::Storm(args) => run.storm(args),
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

    fn mixed_priority(&self, args: &MixedArgs) -> Result<Outcome> {
        let (connections, load) = (check_connections(args.connections, 1)?, &self.settings.load);
        let plan = self.settings.plan_of_one_load()?;
        let (flood, probe_rate) = (args.flood(load)?, args.probe_rate()?);
        let scenario = Mixed::new(connections, flood, probe_rate, load.most_under_way(), plan.clone());
        self.start(scenario, &plan, self.worded_target()?)
    }

    fn operations(&self, args: &OperationsArgs) -> Result<Outcome> {
        let plan = self.settings.plan_of_one_load()?;
        let load = self.settings.open_loop(OPERATIONS_RATE)?;
        self.start(Operations::new(args.size()?, load, plan.clone()), &plan, self.worded_target()?)
    }

    fn slow(&self, args: &SlowArgs) -> Result<Outcome> {
        let (receivers, plan) = (check_connections(args.connections, 1)?, self.settings.plan_of_one_load()?);
        let load = self.settings.open_loop(SLOW_RATE)?;
        let scenario = Slow::new(receivers, args.slow()?, args.keying(), load, plan.clone());
        self.start(scenario, &plan, self.worded_target()?)
    }

    fn rest(&self, args: &RestArgs) -> Result<Outcome> {
        let (connections, plan) = (check_connections(args.connections, 1)?, self.settings.plan_of_one_load()?);
        let scenario = Rest::new(connections, self.settings.window()?, args.route, plan.clone());
        self.start(scenario, &plan, self.worded_target()?)
    }

    fn storm(&self, args: &StormArgs) -> Result<Outcome> {
        let clients = check_connections(args.connections, 1)?;
        let scenario = Storm::new(clients, args.rounds()?, args.spread_ns()?);
        let target = Target { opening_at_once: clients, ..self.target(Dialect::Hashi, MIN_BYTES)? };
        // How long it takes is not known before.
        self.start(scenario, &Plan(Vec::new()), target)
    }

    fn worded_target(&self) -> Result<Target> {
        self.target(Dialect::Hashi, self.settings.worded_bytes()?)
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

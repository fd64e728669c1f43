//! One run: a server, a network, clients, and what they do, all from one seed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use hashi::Config;
use hashi::auth::Development;
use hashi::handlers::{Handle, Handlers, Registry, channel};
use hashi::reactor::{Parts, Reactor};

use super::actions::{Honesty, SESSIONS};
use super::audit::Kept;
use super::client::Client;
use super::connection::{Connection, Phase, Reading};
use super::cursor;
use super::dice::Dice;
use super::errand::Errand;
use super::figures::Figures;
use super::letter::Letter;
use super::sim_net::{SimClock, SimNet};
use super::tamper::{Defect, Tamper};
use super::transcript::Transcript;
use super::truth::{Target, Truth};
use super::world::World;

const MS: u64 = 1_000_000;
/// So much later than it should something may happen.
const SLACK_NS: u64 = 20 * MS;
/// As long as a ticket is valid.
const DAY_NS: u64 = 86_400_000 * MS;
/// Turns of a run: in each, one client does something.
const TURNS: u64 = 250;
/// So few sessions that some are forgotten early, and some refused. Some then live and die unseen within one stage.
const SESSIONS_FEW: u32 = 7;
pub const SESSIONS_MANY: u32 = 100;
/// So much history that nothing leaves it within one stage.
pub const HISTORY_LONG: u32 = 64;
pub const HISTORY_LARGE: u32 = 1 << 20;
/// How long everything may take to come to rest once clients do nothing more but read, in simulated milliseconds.
const REST_MS: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Connect,
    Publish,
    Burst,
    /// A message over REST.
    Post,
    /// A message again.
    Repeat,
    Confirm,
    /// To be let in by it later.
    Ticket,
    Join,
    Leave,
    Nonsense,
    Read,
    Part,
    /// The server ends without a word.
    Restart,
    /// The server ends gracefully.
    Shutdown,
    Wait,
}

/// How often clients do what, by chance: each run has its own temper.
type Habits = Vec<(u64, Action)>;

pub struct Run {
    world: World,
    server: Reactor<SimNet, SimClock>,
    handle: Handle,
    clients: Vec<Client>,
    letters: Vec<Letter>,
    errands: Vec<Errand>,
    habits: Habits,
}

/// Runs a seed. Panics where something is not as promised.
pub fn run(seed: u64, transcript: Transcript, defect: Option<Defect>) -> Figures {
    let mut run = Run::new(seed, transcript, defect);
    for _ in 0..TURNS {
        run.turn();
    }
    run.come_to_rest();
    run.check_rest();
    run.check_outcomes();
    run.leave_and_age();
    run.figures()
}

impl Run {
    fn new(seed: u64, transcript: Transcript, defect: Option<Defect>) -> Self {
        let mut dice = Dice::new(seed);
        let config = config(&mut dice);
        let mut world = World::new(config.clone(), dice.fork(), transcript, Tamper::new(defect));
        let kept = Kept {
            messages: u64::from(config.history_messages),
            bytes: u64::from(config.history_bytes),
            life_ns: config.message_expiry_ms * MS,
        };
        let users = dice.between(2, 5) as usize;
        // Some users have two clients.
        let clients: Vec<Client> =
            (0..users + users / 2).map(|index| Client::new(index, format!("user{}", index % users), kept)).collect();
        world.figures.clients = clients.len() as u64;
        world.figures.seeds = 1;
        let personal = (0..users).map(|index| format!("@user{index}"));
        world.truth = Truth::of(SESSIONS.iter().map(ToString::to_string).chain(personal).collect());
        let (server, handle) = start(&mut world);
        let habits = habits(&mut dice);
        Self { world, server, handle, clients, letters: Vec::new(), errands: Vec::new(), habits }
    }

    /// One client does something, and some time passes.
    fn turn(&mut self) {
        let index = self.world.dice.below(self.clients.len());
        let action = self.world.dice.weighted(&self.habits);
        match action {
            Action::Restart => self.restart(),
            Action::Shutdown => self.shut_down(),
            Action::Wait => {
                let longest_ms = self.world.config.message_expiry_ms * 2;
                let pause_ms = self.world.dice.between(1, longest_ms);
                self.pass(pause_ms * MS);
            }
            Action::Post => {
                let letter = self.clients[index].post(&mut self.world);
                self.letters.push(letter);
            }
            Action::Repeat => {
                let letter = self.clients[index].repeat(&mut self.world);
                self.letters.extend(letter);
            }
            Action::Ticket => {
                let errand = self.clients[index].ask_for_ticket(&mut self.world);
                self.errands.push(errand);
            }
            _ if self.clients[index].is_away() => self.come(index),
            _ if self.clients[index].is_listening() => self.act_over_rest(index, action),
            _ if self.clients[index].poller.is_some() => self.act_over_rest(index, action),
            _ if self.clients[index].is_open() => self.act(index, action),
            Action::Read => self.clients[index].change_reading(&mut self.world),
            Action::Part => self.clients[index].part(&mut self.world),
            _ => {}
        }
        let pause_ns = self.world.dice.weighted(&[(40, 0), (30, 5 * MS), (20, 30 * MS), (10, 200 * MS)]);
        self.pass(pause_ns);
    }

    fn act(&mut self, index: usize, action: Action) {
        let honesty = self.honesty();
        let users: Vec<String> = self.clients.iter().map(|client| client.user.clone()).collect();
        let connections = self.connection_ids();
        let (client, world) = (&mut self.clients[index], &mut self.world);
        match action {
            Action::Publish => client.publish(world, &users, &connections),
            Action::Burst => {
                for _ in 0..world.dice.between(2, 12) {
                    client.publish(world, &users, &connections);
                }
            }
            Action::Join => client.join(world, honesty),
            Action::Leave => client.leave(world),
            Action::Nonsense => client.talk_nonsense(world),
            Action::Read => client.change_reading(world),
            Action::Part => client.part(world),
            Action::Confirm => client.catch_up_confirming(world),
            Action::Connect | Action::Post | Action::Repeat | Action::Ticket => {}
            Action::Restart | Action::Shutdown | Action::Wait => {}
        }
    }

    fn come(&mut self, index: usize) {
        let (honesty, strangers) = (self.honesty(), self.connection_ids());
        self.clients[index].come(&mut self.world, honesty, &strangers);
    }

    /// What a client does that has no WebSocket.
    fn act_over_rest(&mut self, index: usize, action: Action) {
        let (client, world) = (&mut self.clients[index], &mut self.world);
        match action {
            Action::Publish | Action::Burst => {
                let letter = client.post(world);
                self.letters.push(letter);
            }
            Action::Confirm if client.is_open() => client.catch_up_confirming(world),
            Action::Read => client.change_reading(world),
            Action::Part if client.poller.is_some() => client.stop_polling(world),
            Action::Part => client.part(world),
            _ => client.ask_again(world),
        }
    }

    fn honesty(&mut self) -> Honesty {
        self.world.dice.weighted(&[(7, Honesty::Honest), (2, Honesty::Forgetful), (1, Honesty::Lying)])
    }

    fn connection_ids(&self) -> Vec<String> {
        let connections = self.clients.iter().filter_map(|client| client.connection.as_ref());
        connections.filter_map(|connection| connection.id.clone()).collect()
    }

    /// Lets simulated time pass: clients read and send, the server ticks.
    fn pass(&mut self, span_ns: u64) {
        let end_ns = self.world.now_ns() + span_ns;
        loop {
            self.world.network().settle();
            self.step_clients();
            self.step_letters();
            self.step_errands();
            self.step_slips();
            let now_ns = self.world.now_ns();
            let next_ns = self.next_ns().clamp(now_ns, end_ns.max(now_ns));
            self.tick(Duration::from_nanos(next_ns - now_ns));
            if self.server.has_ended() {
                self.follow_up();
            }
            if self.world.now_ns() >= end_ns {
                return;
            }
        }
    }

    fn step_clients(&mut self) {
        for index in 0..self.clients.len() {
            self.clients[index].step(&mut self.world);
            let connection = self.clients[index].connection.as_ref();
            if connection.is_some_and(|connection| connection.phase == Phase::Authenticating && !connection.has_asked) {
                let (honesty, strangers) = (self.honesty(), self.connection_ids());
                self.clients[index].authenticate(&mut self.world, honesty, &strangers);
            }
        }
    }

    fn step_letters(&mut self) {
        let World { shared, dice, truth, .. } = &mut self.world;
        self.letters.retain_mut(|letter| !letter.step(&mut shared.borrow_mut(), dice, truth));
    }

    fn step_slips(&mut self) {
        let World { shared, slips, .. } = &mut self.world;
        slips.retain_mut(|slip| !slip.step(&mut shared.borrow_mut()));
    }

    fn step_errands(&mut self) {
        let Self { world, clients, errands, .. } = self;
        errands.retain_mut(|errand| !errand.step(&mut world.network(), clients));
    }

    /// When something happens that is not the server's doing.
    fn next_ns(&self) -> u64 {
        let arrival_ns = self.world.network().next_arrival_ns();
        let clients = self.clients.iter().filter_map(|client| client.next_ns(&self.world));
        clients.chain(arrival_ns).min().unwrap_or(u64::MAX)
    }

    /// One tick of the server. After every stage all tables are checked, and what was published is noted.
    fn tick(&mut self, timeout: Duration) {
        let (truth, shared) = (&mut self.world.truth, &self.world.shared);
        let watched = self.server.tick_watched(Some(timeout), |tables| {
            tables.invariants();
            truth.tap(tables, shared.borrow().now_ns());
        });
        watched.expect("the simulated poll does not fail");
    }

    /// The server's process ends without a word, and another one takes its place.
    fn restart(&mut self) {
        self.world.note(|| "the server restarts".to_owned());
        self.world.network().reset_all();
        self.replace_server();
    }

    /// The server is asked to end. It goes on until everybody has gone or its time is over.
    fn shut_down(&mut self) {
        self.world.note(|| "the server is asked to end".to_owned());
        let now_ns = self.world.now_ns();
        self.world.ending_since_ns.get_or_insert(now_ns);
        self.handle.shutdown();
    }

    /// The server has ended gracefully: its process ends, and another one takes its place.
    fn follow_up(&mut self) {
        self.world.note(|| "the server has ended".to_owned());
        self.world.figures.shutdowns += 1;
        let asked_ns = self.world.ending_since_ns.expect("the server was asked to end");
        let latest_ns = asked_ns + self.world.config.drain_ms * MS + SLACK_NS;
        assert!(self.world.now_ns() <= latest_ns, "the server took too long to end");
        assert!(self.server.delivery().tables.polls.is_empty(), "a poll still waits");
        self.world.network().close_all();
        self.replace_server();
    }

    fn replace_server(&mut self) {
        self.world.figures.restarts += 1;
        self.world.figures.add_server(self.server.delivery(), self.server.metrics());
        self.world.truth.begin_server();
        (self.world.ending_since_ns, self.world.tickets) = (None, 0);
        (self.server, self.handle) = start(&mut self.world);
    }

    /// Everybody connects, reads and does nothing else, until nothing is on its way any more.
    fn come_to_rest(&mut self) {
        self.world.note(|| "everybody comes to rest".to_owned());
        let end_ns = self.world.now_ns() + REST_MS * MS;
        let mut quiet_since_ns = self.world.now_ns();
        self.clients.iter_mut().for_each(|client| client.refusals = 0);
        self.bury_ghosts();
        // Positions are told at most once a second.
        while self.world.now_ns() < quiet_since_ns + 1_500 * MS {
            assert!(self.world.now_ns() < end_ns, "there is no rest: {:?}", self.restless());
            self.settle_clients();
            self.pass(10 * MS);
            if !self.restless().is_empty()
                || !self.letters.is_empty()
                || !self.errands.is_empty()
                || !self.world.slips.is_empty()
            {
                quiet_since_ns = self.world.now_ns();
            }
        }
    }

    /// Connections that were left as they are break at last.
    fn bury_ghosts(&mut self) {
        for link in std::mem::take(&mut self.world.ghosts) {
            self.world.network().reset(link);
        }
    }

    fn settle_clients(&mut self) {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if client.is_away() && !client.has_given_up() {
                self.come(index);
            } else if let Some(connection) = &mut client.connection {
                connection.read_by(Reading::Greedy, self.world.now_ns());
            } else if let Some(poller) = &mut client.poller {
                poller.reading = Reading::Greedy;
                client.ask_again(&mut self.world);
            }
        }
    }

    /// Clients that something is still to happen to, and how far they are.
    fn restless(&self) -> Vec<(usize, Option<Phase>)> {
        let network = self.world.network();
        let is_quiet = |client: &Client| match &client.connection {
            Some(connection) => {
                let is_open = connection.phase == Phase::Open;
                is_open && connection.socket.is_flushed() && network.is_quiet(connection.socket.link())
            }
            None => client.poller.as_ref().map_or(client.has_given_up(), |poller| poller.has_caught_up),
        };
        let restless = self.clients.iter().filter(|client| !is_quiet(client));
        restless.map(|client| (client.index, client.connection.as_ref().map(|connection| connection.phase))).collect()
    }

    /// At rest every client has all that it is owed.
    fn check_rest(&self) {
        let truth = &self.world.truth;
        truth.check_authors();
        if self.world.config.sessions == SESSIONS_MANY {
            truth.check_receipts();
        }
        for client in &self.clients {
            if let Some(poller) = &client.poller {
                for (name, _) in poller.stands(&client.user) {
                    client.auditor.check_up_to(truth, &name, client.auditor.head(truth, &name));
                }
            }
            let Some(connection) = &client.connection else {
                continue; // it polls, or the server is full
            };
            // Without positions nothing need come behind what history has fed last.
            if let Some(source) = connection.source.as_ref().filter(|_| connection.wants_positions) {
                client.auditor.check_last_cursor(&cursor::read(&source.last_id, &client.user));
            }
            for name in client.auditor.joined() {
                let head = client.auditor.head(truth, name);
                client.auditor.check_up_to(truth, name, head);
                let position = client.places[name].position;
                assert!(
                    !connection.wants_positions || position == head,
                    "client {} stands at {position} in {name}, whose head is {head}",
                    client.index
                );
            }
            self.check_direct(client.index, connection);
        }
    }

    /// Messages without a position have come, or are counted as lost.
    fn check_direct(&self, index: usize, connection: &Connection) {
        let truth = &self.world.truth;
        let target = Target::Connection(connection.id.clone().expect("ok because everybody is authenticated"));
        let accepted = truth.receipts.keys().filter(|&&number| truth.sent[number].target == target);
        let has = |number: usize| connection.direct.range((number, 0)..=(number, u64::MAX)).next().is_some();
        let missing = accepted.filter(|number| !has(**number)).count() as u64;
        assert!(
            missing <= connection.direct_lost,
            "client {index} lost {missing} direct messages and was told of {}",
            connection.direct_lost
        );
    }

    /// Once all messages have aged, every sender that asked for it knows how its message was confirmed.
    fn check_outcomes(&mut self) {
        self.pass((self.world.config.message_expiry_ms + 100) * MS);
        self.world.truth.check_taken(&self.world.confirmations, &self.world.config);
        for client in &self.clients {
            let due = client.connection.as_ref().map(|connection| &connection.outcomes_due);
            assert!(due.is_none_or(BTreeSet::is_empty), "client {} was not told of {due:?}", client.index);
        }
    }

    /// All clients go; once everything has aged, the server holds nothing.
    fn leave_and_age(&mut self) {
        self.world.note(|| "everybody leaves".to_owned());
        for client in &mut self.clients {
            client.leave_for_good(&mut self.world);
        }
        self.pass((2 * self.world.config.message_expiry_ms + 10_000) * MS);
        self.check_empty(&["tickets"]);
        self.pass(DAY_NS);
        self.check_empty(&[]);
    }

    /// The server holds nothing any more, but for some tables.
    fn check_empty(&self, but_for: &[&str]) {
        let held = self.server.delivery().tables.holdings();
        let left: Vec<_> = held.iter().filter(|(name, count)| *count > 0 && !but_for.contains(name)).collect();
        assert!(left.is_empty(), "left in the tables when all was over: {left:?}");
    }

    fn figures(mut self) -> Figures {
        self.world.figures.add_server(self.server.delivery(), self.server.metrics());
        let resets = self.world.network().resets;
        self.world.figures.resets = resets;
        self.world.figures
    }
}

fn start(world: &mut World) -> (Reactor<SimNet, SimClock>, Handle) {
    let (handle, inbox) = channel(Arc::new(|| Ok(())));
    let handlers = Handlers::new(Registry::default(), handle.clone(), &world.config);
    let server = Reactor::new(Parts {
        net: SimNet(world.shared.clone()),
        clock: SimClock(world.shared.clone()),
        config: world.config.clone(),
        policy: Box::new(Development),
        handlers,
        inbox,
        seed: world.dice.seed(),
    });
    (server, handle)
}

/// Small limits, so that they are met.
fn config(dice: &mut Dice) -> Config {
    Config {
        workers: 0, // no handler is registered
        queue_messages: dice.pick(&[3, 5, 10]),
        queue_bytes: dice.pick(&[8_000, 1 << 20]),
        history_messages: dice.pick(&[4, 16, HISTORY_LONG]),
        history_bytes: dice.pick(&[4_000, HISTORY_LARGE]),
        message_expiry_ms: dice.pick(&[300, 2_000, 10_000]),
        slow_ms: dice.pick(&[1_000, 5_000]),
        heartbeat_interval_ms: dice.pick(&[4_000, 30_000]),
        heartbeat_timeout_ms: 1_500,
        auth_deadline_ms: 1_000,
        retry_attempts: dice.pick(&[0, 1, 3]),
        ack_timeout_ms: dice.pick(&[50, 400, 2_000]),
        dedup_ids: dice.pick(&[4, 1_024]),
        debounce_ms: dice.pick(&[0, 50, 500]),
        drain_ms: dice.pick(&[50, 500, 3_000]),
        max_connections: dice.pick(&[8, 32]),
        sessions: dice.pick(&[SESSIONS_FEW, SESSIONS_MANY]),
        sessions_per_connection: 3,
        ..Config::default()
    }
}

fn habits(dice: &mut Dice) -> Habits {
    vec![
        (10, Action::Connect),
        (dice.between(10, 40), Action::Publish),
        (dice.between(0, 20), Action::Burst),
        (dice.between(0, 6), Action::Post),
        (dice.between(0, 8), Action::Repeat),
        (dice.between(0, 8), Action::Confirm),
        (10, Action::Join),
        (dice.between(0, 6), Action::Leave),
        (2, Action::Nonsense),
        (dice.between(0, 10), Action::Read),
        (dice.between(0, 15), Action::Part),
        (dice.between(0, 4), Action::Ticket),
        (dice.pick(&[0, 0, 1]), Action::Restart),
        (dice.pick(&[0, 0, 1]), Action::Shutdown),
        (dice.between(0, 4), Action::Wait),
    ]
}

//! A server to embed: built from a configuration and handlers, then run on the caller's thread.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::auth::{Development, Policy};
use crate::config::Config;
use crate::handlers::{Context, Handle, HandlerFn, Handlers, Message, Registry, Role, channel};
use crate::reactor::{MioNet, Parts, Reactor, SystemClock, resolve};

/// A server that listens and is ready to run.
pub struct Server {
    reactor: Reactor<MioNet, SystemClock>,
    handle: Handle,
    addresses: Vec<SocketAddr>,
}

/// Gathers what a server is made of.
pub struct ServerBuilder {
    config: Config,
    policy: Box<dyn Policy>,
    registrations: Vec<(String, Role, HandlerFn)>,
}

impl ServerBuilder {
    /// Runs `handler` for messages of type `kind`. It consumes them: they reach their session only if it relays them.
    #[must_use]
    pub fn on(self, kind: &str, handler: impl Fn(&Message, &Context<'_>) + Send + Sync + 'static) -> Self {
        self.register(kind, Role::Handler, Arc::new(handler))
    }

    /// Runs `observer` for messages of type `kind`, which go their way regardless.
    #[must_use]
    pub fn observe(self, kind: &str, observer: impl Fn(&Message, &Context<'_>) + Send + Sync + 'static) -> Self {
        self.register(kind, Role::Observer, Arc::new(observer))
    }

    /// Decides who may connect, join and publish, in place of development mode's policy.
    #[must_use]
    pub fn policy(mut self, policy: impl Policy + 'static) -> Self {
        self.policy = Box::new(policy);
        self
    }

    /// Listens.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration that does not hold, else what the system says of the addresses.
    pub fn bind(self) -> io::Result<Server> {
        let config = self.config;
        let development = self.policy.is_development();
        config.validate(development).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
        let net = MioNet::bind(&resolve(&config.host, config.port)?)?;
        let waker = net.waker();
        let (handle, inbox) = channel(Arc::new(move || waker.wake()));
        let addresses = net.local_addresses();
        announce(&config, development, &addresses);
        let mut registry = Registry::default();
        for (kind, role, run) in self.registrations {
            registry.add(handle.new_handler_id(), kind, role, run);
        }
        let handlers = Handlers::new(registry, handle.clone(), &config);
        let reactor = Reactor::new(Parts {
            net,
            clock: SystemClock::start(),
            config,
            policy: self.policy,
            handlers,
            inbox,
            seed: rand::random(),
        });
        Ok(Server { reactor, handle, addresses })
    }

    fn register(mut self, kind: &str, role: Role, run: HandlerFn) -> Self {
        self.registrations.push((kind.to_owned(), role, run));
        self
    }
}

impl Server {
    /// Begins a server with this configuration, in development mode until a policy is given.
    pub fn builder(config: Config) -> ServerBuilder {
        ServerBuilder { config, policy: Box::new(Development), registrations: Vec::new() }
    }

    /// The addresses it listens on.
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// A way to talk to it from other threads.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until [`Handle::shutdown`] has been asked for and everything is flushed.
    ///
    /// # Errors
    /// When the event loop itself fails.
    pub fn run(mut self) -> io::Result<()> {
        self.reactor.run()?;
        log::info!("stopped");
        Ok(())
    }
}

/// SIGTERM and SIGINT, caught before a server listens.
pub struct Signals(signal_hook::iterator::Signals);

impl Signals {
    /// Catches the signals from now on. Call it before [`ServerBuilder::bind`], so that none comes too early.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn catch() -> io::Result<Self> {
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT]).map(Self)
    }

    /// Lets the first signal end the server gracefully and the second end the process at once, with exit code 1.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn stop(mut self, handle: Handle) -> io::Result<()> {
        let watch = move || {
            let mut arrivals = self.0.forever();
            if arrivals.next().is_some() {
                handle.shutdown();
            }
            if arrivals.next().is_some() {
                log::warn!("second signal: ending at once");
                std::process::exit(1);
            }
        };
        thread::Builder::new().name("hashi-signals".into()).spawn(watch).map(|_| ())
    }
}

fn announce(config: &Config, development: bool, addresses: &[SocketAddr]) {
    if development && config.insecure_development {
        log::warn!(
            "development mode on {}: the token is the user id, and everybody who can connect may do everything",
            config.host
        );
    } else if development {
        log::info!("development mode: loopback only, the token is the user id");
    }
    for address in addresses {
        log::info!("listening on {address}, WebSocket at {}", config.path);
    }
    if let Some(path) = &config.echo_path {
        log::info!("raw echo at {path}");
    }
}

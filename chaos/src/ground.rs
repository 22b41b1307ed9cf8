//! The cluster that is broken: three of some engines, two processes of every role, proxies in between. All of it runs on
//! when this program ends, but for the proxies: who comes again finds it, and heals what was left broken.
//!
//! The trap: the proxies live in threads of their own, as the clients' one is busy; and their runtime must not be dropped
//! where another one runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loadtest::failure::Failure;
use loadtest::server::Server;
use tokio::runtime::Runtime;
use volery_testkit::proxy::{self, Proxy};

use crate::fault::{Fault, Link, Process, Service, Way};
use crate::schedule::Shape;
use crate::tools::{Tool, words};
use crate::wiring::{Addresses, settings, wires};

/// Ports above the first: of the cluster's processes, a hundred for each of a role; of engines; of proxies.
const ENGINES_AT: u16 = 300;
const PROXIES_AT: u16 = 320;
/// How late everything is over a slow link.
const LATE: Duration = Duration::from_millis(200);

/// Where and what it is.
#[derive(Clone, Debug)]
pub struct Place {
    /// Everything is in there.
    pub dir: PathBuf,
    /// The first of 400 ports.
    pub port: u16,
    /// How many there are of everything.
    pub shape: Shape,
    /// The program `volery`.
    pub volery: PathBuf,
}

/// See the module.
pub struct Ground {
    shape: Shape,
    dir: PathBuf,
    engines: Tool,
    cluster: Tool,
    volery: Tool,
    gateways: Vec<String>,
    links: Vec<(Link, Proxy)>,
    _runtime: Runtime,
}

impl Ground {
    /// Brings it up, or takes what is up already; whatever was broken is healed.
    ///
    /// # Errors
    /// A sentence: what does not start, and where its log is.
    pub fn raise(place: &Place) -> Result<Self, Failure> {
        let Place { dir, port, shape, volery } = place;
        let (engines, cluster) = tools(place);
        for (tool, services) in [(&engines, Service::ENGINES.as_slice()), (&cluster, &Service::ROLES)] {
            // It fails where nothing runs.
            services.iter().for_each(|service| drop(tool.run(&words(["continue", service.name()]))));
        }
        let up = |tool: &Tool, services: &[Service]| {
            let names = services.iter().map(|service| service.name().to_owned());
            tool.run(&words(["up"]).into_iter().chain(names).collect::<Vec<_>>())
        };
        up(&engines, &Service::ENGINES)?;
        let addresses = Addresses::read(&(engines.run(&words(["env"]))? + &cluster.run(&words(["env"]))?));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let wires = wires(&addresses, shape.nodes, port + PROXIES_AT)?;
        let links = wires.iter().map(|wire| Ok((wire.link, runtime.block_on(Proxy::start(wire.listen, wire.to))?)));
        let links = links.collect::<Result<_, Failure>>()?;
        for (process, told) in settings(&wires) {
            write(&dir.join("cluster/settings").join(process.to_string()), &told.join("\n"))?;
        }
        up(&cluster, &Service::ROLES)?;
        let gateways = addresses.gateways()?;
        let volery = Tool::new(volery.clone(), vec![("USER", "chaos".to_owned())]);
        let ground =
            Self { shape: *shape, dir: dir.clone(), engines, cluster, volery, gateways, links, _runtime: runtime };
        ground.cluster.run(&ground.spare("stop"))?;
        // A drain holds over everything that may have come between.
        for number in 1..=shape.nodes {
            ground.volery.run(&ground.order("undrain", number))?;
        }
        Ok(ground)
    }

    /// Ends everything; what it holds stays.
    ///
    /// # Errors
    /// What does not end.
    pub fn lower(place: &Place) -> Result<(), Failure> {
        let (engines, cluster) = tools(place);
        cluster.run(&words(["down"]))?;
        engines.run(&words(["down"])).map(drop)
    }

    /// Ends everything and forgets what it held: of a campaign that is not gone on with.
    ///
    /// # Errors
    /// What does not end, or cannot be removed.
    pub fn clear(place: &Place) -> Result<(), Failure> {
        Self::lower(place)?;
        for name in ["engines", "cluster"] {
            let folder = place.dir.join(name);
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        Ok(())
    }

    /// A gateway, another one with the next number.
    #[must_use]
    pub fn gateway(&self, number: usize) -> &str {
        &self.gateways[number % self.gateways.len()]
    }

    /// Makes these users.
    ///
    /// # Errors
    /// What the import says.
    pub async fn import(&self, users: std::ops::Range<usize>) -> Result<(), Failure> {
        let file = self.dir.join("users.jsonl");
        write(&file, &Server::import_lines(users)?)?;
        let import = words(["admin", "users", "import", &file.display().to_string()]);
        self.volery.beside(import.into_iter().chain(self.config()).collect()).await
    }

    /// A fault begins. A drain has begun once it is done.
    ///
    /// # Errors
    /// What a tool says.
    pub async fn strike(&self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::Kill(process) => self.tell("kill", process).await,
            Fault::Hold(process) => self.tell("pause", process).await,
            Fault::Stop(process) => self.tell("stop", process).await,
            Fault::Cut(link, way) => {
                self.set(link, way_of(way));
                Ok(())
            }
            Fault::Outage => self.brokers("pause").await,
            Fault::Drain(number) => self.volery.beside(self.order("drain", number)).await,
            Fault::Join => self.cluster.beside(self.spare("start")).await,
        }
    }

    /// It ends: what was killed or stopped is ready again.
    ///
    /// # Errors
    /// What a tool says.
    pub async fn heal(&self, fault: Fault) -> Result<(), Failure> {
        match fault {
            Fault::Kill(process) | Fault::Stop(process) => self.tell("start", process).await,
            Fault::Hold(process) => self.tell("continue", process).await,
            Fault::Cut(link, _) => {
                self.set(link, proxy::Link::Whole);
                Ok(())
            }
            Fault::Outage => self.brokers("continue").await,
            Fault::Drain(number) => self.volery.beside(self.order("undrain", number)).await,
            Fault::Join => self.cluster.beside(self.spare("stop")).await,
        }
    }

    async fn tell(&self, word: &str, process: Process) -> Result<(), Failure> {
        let tool = if process.service.is_engine() { &self.engines } else { &self.cluster };
        tool.beside(words([word, process.service.name(), &process.number.to_string()])).await
    }

    fn set(&self, link: Link, how: proxy::Link) {
        self.links.iter().filter(|(of, _)| *of == link).for_each(|(_, proxy)| proxy.set(how));
    }

    /// One more than may be spared of them.
    async fn brokers(&self, word: &str) -> Result<(), Failure> {
        for number in 1..=self.shape.copies / 2 + 1 {
            self.tell(word, Process { service: Service::Kafka, number }).await?;
        }
        Ok(())
    }

    /// What an operator says to a messaging node.
    fn order(&self, word: &str, number: u8) -> Vec<String> {
        let node = Process { service: Service::Messaging, number }.to_string();
        words(["admin", word, &node]).into_iter().chain(self.config()).collect()
    }

    /// The configuration of a process that speaks to everybody without a proxy.
    fn config(&self) -> Vec<String> {
        let file = self.dir.join(format!("cluster/config/1of{}/volery.toml", self.shape.nodes));
        vec!["--config".to_owned(), file.display().to_string()]
    }

    /// Tells the messaging node that comes and goes.
    fn spare(&self, word: &str) -> Vec<String> {
        words([word, Service::Messaging.name(), &(self.shape.nodes + 1).to_string()])
    }
}

fn tools(place: &Place) -> (Tool, Tool) {
    let Place { dir, port, shape, volery } = place;
    let mut variables = vec![
        ("ENGINES_DIR", dir.join("engines").display().to_string()),
        ("ENGINES_PORT", (port + ENGINES_AT).to_string()),
        ("CASSANDRA_HOST", host_of(*port)),
        ("REPLICAS", shape.copies.to_string()),
    ];
    let engines = Tool::of_the_repository("engines/engines", variables.clone());
    variables.extend([
        ("CLUSTER_DIR", dir.join("cluster").display().to_string()),
        ("CLUSTER_PORT", port.to_string()),
        ("NODES", shape.nodes.to_string()),
        ("MESSAGING_NODES", (shape.nodes + 1).to_string()),
        ("VOLERY", volery.display().to_string()),
    ]);
    (engines, Tool::of_the_repository("cluster/cluster", variables))
}

/// Cassandra's ports are the same on all nodes, so each set of nodes has addresses of its own.
fn host_of(port: u16) -> String {
    format!("127.{}.{}.11", 100 + port / 250 / 250, port / 250 % 250)
}

const fn way_of(way: Way) -> proxy::Link {
    match way {
        Way::Reset => proxy::Link::Reset,
        Way::Silent => proxy::Link::Silent,
        Way::Slow => proxy::Link::Slow(LATE),
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    Ok(fs::write(file, text.to_owned() + "\n")?)
}

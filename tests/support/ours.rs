//! Our server, with the parties of `tests/interop/party` told in Rust.

use std::{collections::HashMap, thread};

use roommate::{Cell, Id};
use roommate_partykit_proto::{Asker, Policy, RoomConfig};
use roommate_server::{Rooms, RunningServer, Server, ServerConfig};
use tokio::runtime::{Builder, Runtime};

/// Servers inside this process, on a runtime of their own: each test has one that ends with it. One server sets all its
/// rooms up alike, so there is one for each way of setting them up.
#[derive(Debug)]
pub(crate) struct Roommate {
    /// By party, and whether stock clients are set right.
    servers: HashMap<(&'static str, bool), RunningServer>,
    _runtime: Runtime,
}

/// The policy of the party `guarded`.
#[derive(Debug)]
struct Guarded;

impl Roommate {
    /// Starts the servers.
    pub(crate) fn start() -> Self {
        // A thread that is in no runtime yet may block on one.
        thread::spawn(Self::start_blocking).join().expect("the servers start")
    }

    /// Where the server of `party` listens that sets stock clients right, or does not.
    pub(crate) fn host(&self, party: &'static str, cures: bool) -> String {
        self.server(party, cures).local_addr().to_string()
    }

    /// The rooms of that server.
    pub(crate) fn rooms(&self, party: &'static str, cures: bool) -> &Rooms {
        self.server(party, cures).rooms()
    }

    fn server(&self, party: &'static str, cures: bool) -> &RunningServer {
        self.servers.get(&(party, cures)).unwrap_or_else(|| &self.servers[&("main", cures)])
    }

    fn start_blocking() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let prefixed = RoomConfig::new()
            .with_store_path("/my_tinybase")
            .with_message_prefix("tb_")
            .with_response_headers([header("Access-Control-Allow-Origin", "*"), header("X-Room-Kind", "prefixed")]);
        let mut servers = HashMap::new();
        let configs = [
            ("main", RoomConfig::new()),
            ("bare", RoomConfig::new().with_store_path("/bare_store").with_response_headers([])),
            ("prefixed", prefixed),
            ("guarded", RoomConfig::new().with_policy(Guarded)),
        ];
        for ((party, config), cures) in configs.into_iter().flat_map(|pair| [(pair.clone(), true), (pair, false)]) {
            let config = ServerConfig::new()
                .with_parties(["main", "bare", "prefixed", "guarded", "opened"])
                .with_room(config.with_cures(cures));
            let server = runtime
                .block_on(async { Ok::<_, roommate::Error>(Server::bind("127.0.0.1:0", config).await?.spawn()) })
                .expect("a free port of the loopback interface");
            servers.insert((party, cures), server);
        }
        Self { servers, _runtime: runtime }
    }
}

impl Policy for Guarded {
    fn can_set_table(&self, table_id: &Id, _asker: Asker<'_>) -> bool {
        settable(table_id)
    }

    fn can_del_table(&self, table_id: &Id, _asker: Asker<'_>) -> bool {
        deletable(table_id)
    }

    fn can_set_row(&self, _table_id: &Id, row_id: &Id, _asker: Asker<'_>) -> bool {
        settable(row_id)
    }

    fn can_del_row(&self, _table_id: &Id, row_id: &Id, _asker: Asker<'_>) -> bool {
        deletable(row_id)
    }

    fn can_set_cell(
        &self,
        _table_id: &Id,
        _row_id: &Id,
        cell_id: &Id,
        _cell: &Cell,
        _old: Option<&Cell>,
        _asker: Asker<'_>,
    ) -> bool {
        settable(cell_id)
    }

    fn can_del_cell(&self, _table_id: &Id, _row_id: &Id, cell_id: &Id, _asker: Asker<'_>) -> bool {
        deletable(cell_id)
    }

    fn can_set_value(&self, value_id: &Id, _value: &Cell, _old: Option<&Cell>, _asker: Asker<'_>) -> bool {
        assert_ne!(value_id.as_str(), "explode", "the hook threw");
        settable(value_id)
    }

    fn can_del_value(&self, value_id: &Id, _asker: Asker<'_>) -> bool {
        deletable(value_id)
    }
}

fn settable(id: &Id) -> bool {
    id.as_str() != "secret"
}

fn deletable(id: &Id) -> bool {
    !id.as_str().starts_with("kept")
}

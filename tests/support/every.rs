//! Tests of stories: one for each server, one for each direction.

/// Makes a test of each story for each server. A story is an `async fn` that takes a [`Rig`].
macro_rules! on_every_server {
    ($($story:ident)*) => {
        mod on_partykits_server {
            use super as stories;
            crate::every::tests!(PartyKit, JS_TO_JS, $($story)*);
        }
        mod on_our_server {
            use super as stories;
            crate::every::tests!(Roommate, JS_TO_JS, $($story)*);
        }
        mod on_our_stock_server {
            use super as stories;
            crate::every::tests!(StockRoommate, JS_TO_JS, $($story)*);
        }
    };
}

/// Makes a test of each story for each server that does what the stock server does, to the letter.
macro_rules! on_every_stock_server {
    ($($story:ident)*) => {
        mod on_partykits_server {
            use super as stories;
            crate::every::tests!(PartyKit, JS_TO_JS, $($story)*);
        }
        mod on_our_stock_server {
            use super as stories;
            crate::every::tests!(StockRoommate, JS_TO_JS, $($story)*);
        }
    };
}

/// Makes a test of each story for our server alone, as it is unless it is told otherwise.
macro_rules! on_our_server {
    ($($story:ident)*) => {
        mod on_our_server {
            use super as stories;
            crate::every::tests!(Roommate, JS_TO_JS, $($story)*);
        }
    };
}

/// Makes a test of each story for each server and for each direction.
macro_rules! in_every_direction {
    ($($story:ident)*) => {
        mod on_partykits_server {
            use super as stories;
            crate::every::directions!(PartyKit, $($story)*);
        }
        mod on_our_server {
            use super as stories;
            crate::every::directions!(Roommate, $($story)*);
        }
        mod on_our_stock_server {
            use super as stories;
            crate::every::directions!(StockRoommate, $($story)*);
        }
    };
}

/// The same for stories that are too long to be told within one language.
macro_rules! across_languages {
    ($($story:ident)*) => {
        mod on_partykits_server {
            use super as stories;
            crate::every::directions_across!(PartyKit, $($story)*);
        }
        mod on_our_server {
            use super as stories;
            crate::every::directions_across!(Roommate, $($story)*);
        }
    };
}

/// The same for stories whose writer is a Rust client.
macro_rules! with_a_rust_writer {
    ($($story:ident)*) => {
        mod on_partykits_server {
            use super as stories;
            crate::every::directions_from_rust!(PartyKit, $($story)*);
        }
        mod on_our_server {
            use super as stories;
            crate::every::directions_from_rust!(Roommate, $($story)*);
        }
    };
}

macro_rules! directions {
    ($server:ident, $($story:ident)*) => {
        mod from_js_to_js {
            use super::stories;
            crate::every::tests!($server, JS_TO_JS, $($story)*);
        }
        mod from_js_to_rust {
            use super::stories;
            crate::every::tests!($server, JS_TO_RUST, $($story)*);
        }
        crate::every::directions_from_rust!($server, $($story)*);
    };
}

macro_rules! directions_across {
    ($server:ident, $($story:ident)*) => {
        mod from_js_to_rust {
            use super::stories;
            crate::every::tests!($server, JS_TO_RUST, $($story)*);
        }
        mod from_rust_to_js {
            use super::stories;
            crate::every::tests!($server, RUST_TO_JS, $($story)*);
        }
    };
}

macro_rules! directions_from_rust {
    ($server:ident, $($story:ident)*) => {
        mod from_rust_to_js {
            use super::stories;
            crate::every::tests!($server, RUST_TO_JS, $($story)*);
        }
        mod from_rust_to_rust {
            use super::stories;
            crate::every::tests!($server, RUST_TO_RUST, $($story)*);
        }
    };
}

macro_rules! tests {
    ($server:ident, $direction:ident, $($story:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                use crate::rig::{Direction, Rig, Server};
                if let Some(rig) = Rig::new(stringify!($story), Server::$server, Direction::$direction) {
                    stories::$story(rig).await;
                }
            }
        )*
    };
}

pub(crate) use {
    across_languages, directions, directions_across, directions_from_rust, in_every_direction, on_every_server,
    on_every_stock_server, on_our_server, tests, with_a_rust_writer,
};

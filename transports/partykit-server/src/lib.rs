//! A self-hosted room server.

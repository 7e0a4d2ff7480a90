//! TLS, in a build that has both of rustls's crypto providers.

use std::sync::Arc;

use futures_util::SinkExt;
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::proto::socket::SocketProtocol;

fn acceptor() -> (TlsAcceptor, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let der = made.cert.der().to_vec();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate that fits its key");
    (TlsAcceptor::from(Arc::new(config)), der)
}

#[tokio::test]
async fn a_server_with_a_certificate_of_ones_own_is_joined_once_it_is_trusted() {
    let server = Server::start().await;
    let (acceptor, der) = acceptor();
    let port = server.0.local_addr().expect("an address").port();
    let options = server.options().with_host(format!("localhost:{port}")).with_protocol(SocketProtocol::Wss);

    let socket = PartySocket::new(options.clone()).expect("a socket");
    let mut events = socket.events();
    assert!(soon(acceptor.accept(server.tcp().await)).await.is_err(), "the client trusts nobody it does not know");
    let error = failed(&mut events).await;
    assert!(error.is_temporary() && error.to_string().contains("certificate"), "{error}");
    drop(socket);

    let socket = PartySocket::new(options.with_root_certificate(der)).expect("a socket");
    let mut events = socket.events();
    socket.send("secret").expect("room");
    let mut peer = loop {
        // The first socket may still be trying to connect.
        if let Ok(tls) = soon(acceptor.accept(server.tcp().await)).await {
            break soon(accept_async(tls)).await.expect("an upgrade");
        }
    };
    opened(&mut events).await;
    assert_eq!(soon(peer.next()).await.expect("a message").expect("sound"), "secret".into());
    peer.send("too".into()).await.expect("sent");
    assert_eq!(received(&mut events).await, "too");
}

#[tokio::test]
async fn a_root_certificate_that_is_none_is_refused() {
    let options = PartySocketOptions::new("localhost", "r").with_root_certificate(*b"-----BEGIN CERTIFICATE-----");
    assert!(PartySocket::new(options).expect_err("no DER").to_string().contains("DER"));
}

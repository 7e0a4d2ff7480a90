//! The floor: what a broadcast over tokio and tungstenite costs on one thread, without rooms, parsing or storage.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{SinkExt, StreamExt, stream::SplitSink};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_tungstenite::{
    WebSocketStream, accept_async,
    tungstenite::{self, Message},
};

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;

/// The queue of each connection. The generator's window is what bounds them.
type Queues = Arc<Mutex<HashMap<u64, UnboundedSender<Message>>>>;

/// Sends each message to every other connection, for ever.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn serve() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}", listener.local_addr()?);
        let queues = Queues::default();
        for id in 0.. {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(connection(id, stream, Arc::clone(&queues)));
        }
        Ok(())
    })
}

async fn connection(id: u64, stream: TcpStream, queues: Queues) {
    // With tungstenite's defaults, as a first server is written.
    let Ok(socket) = accept_async(stream).await else { return };
    let (sink, mut stream) = socket.split();
    let (queue, queued) = unbounded_channel();
    let lock = || queues.lock().unwrap_or_else(PoisonError::into_inner);
    lock().insert(id, queue);
    let writer = tokio::spawn(write(sink, queued));
    while let Some(Ok(message)) = stream.next().await {
        if message.is_text() || message.is_binary() {
            for (_, queue) in lock().iter().filter(|(other, _)| **other != id) {
                let _gone = queue.send(message.clone());
            }
        }
    }
    lock().remove(&id);
    writer.abort();
}

/// Writes all that is queued at a time, and flushes once.
async fn write(mut sink: Sink, mut queued: UnboundedReceiver<Message>) -> tungstenite::Result<()> {
    while let Some(message) = queued.recv().await {
        sink.feed(message).await?;
        while let Ok(message) = queued.try_recv() {
            sink.feed(message).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

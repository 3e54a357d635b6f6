//! A TCP proxy that stands for distance: each byte arrives later, and as many are on their way as the sender likes.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// So many pieces of up to [`PIECE`] bytes are on their way in one direction, which is more than any window of TCP.
const PIECES: usize = 1024;
const PIECE: usize = 64 << 10;

/// A proxy on the loopback address, in front of one server's port. Dropping it stops new connections.
#[derive(Debug)]
pub struct DelayProxy {
    address: SocketAddr,
    acceptor: AbortHandle,
}

/// A proxy's address, before it is known what it stands for.
#[derive(Debug)]
pub struct ReservedDelayProxy(TcpListener);

impl DelayProxy {
    /// Takes a port.
    pub async fn reserve() -> ReservedDelayProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        ReservedDelayProxy(listener.expect("a port on the loopback address can be had"))
    }

    /// A proxy for `port`, which keeps each byte for `each_way`.
    pub async fn to(port: u16, each_way: Duration) -> Self {
        Self::reserve().await.forward(port, each_way)
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for DelayProxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl ReservedDelayProxy {
    /// The port that clients will connect to.
    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("a listener has an address").port()
    }

    /// Starts to work for the server at `port`.
    pub fn forward(self, port: u16, each_way: Duration) -> DelayProxy {
        let address = self.0.local_addr().expect("a listener has an address");
        let accept = async move {
            while let Ok((client, _)) = self.0.accept().await {
                tokio::spawn(serve(client, port, each_way));
            }
        };
        DelayProxy {
            address,
            acceptor: tokio::spawn(accept).abort_handle(),
        }
    }
}

async fn serve(client: TcpStream, port: u16, each_way: Duration) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pass(from_client, to_server, each_way),
        pass(from_server, to_client, each_way)
    );
}

/// Passes bytes one way until an end closes.
async fn pass(mut reader: impl AsyncRead + Unpin, mut writer: impl AsyncWrite + Unpin, each_way: Duration) {
    let (sender, mut on_their_way) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let read = async move {
        let mut buffer = vec![0; PIECE];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            let piece = (Instant::now() + each_way, buffer[..length].to_vec());
            if sender.send(piece).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = on_their_way.recv().await {
            tokio::time::sleep_until(due).await;
            if writer.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The other side learns that this one is closed.
        let _ = writer.shutdown().await;
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Echoes what it is sent.
    async fn server() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        port
    }

    /// Ten questions that do not wait for each other take one round trip, and not ten.
    #[tokio::test]
    async fn bytes_are_on_their_way_together() {
        let each_way = Duration::from_millis(200);
        let proxy = DelayProxy::to(server().await, each_way).await;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
            .await
            .unwrap();
        let started = Instant::now();
        for byte in 0..10 {
            stream.write_u8(byte).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut answer = [0; 10];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let took = started.elapsed();
        assert!(took >= 2 * each_way, "{took:?}");
        assert!(took < 10 * each_way, "{took:?}");
    }

    #[tokio::test]
    async fn an_end_passes_as_well() {
        let proxy = DelayProxy::to(server().await, Duration::from_millis(20)).await;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
            .await
            .unwrap();
        stream.write_all(b"last").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"last");
    }
}

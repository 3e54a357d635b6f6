//! A TCP proxy that disturbs its connections on request.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What happens to connections, those that are open and those that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Bytes pass both ways.
    Pass,
    /// Open connections end at once, new ones are closed as soon as they are made.
    Cut,
    /// Connections stay open, and no byte passes until the mode changes. Nothing is lost.
    Stall,
    /// The server's side of each connection is gone, and the client is not notified.
    HalfOpen,
    /// Each piece of data is kept for this long before it is passed on.
    Slow(Duration),
    /// What the client sends goes through; the first answer is swallowed, and its connection ends there.
    LoseAnswers,
}

/// A proxy on the loopback address, in front of one server's port. Dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    acceptor: AbortHandle,
}

impl Proxy {
    /// A proxy for `port`, whether somebody listens there yet or not.
    pub async fn to(port: u16) -> Self {
        Self::reserve().await.forward(port)
    }

    /// A proxy whose address is known before it is known what it stands for.
    pub async fn reserve() -> ReservedProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        ReservedProxy {
            listener: listener.expect("a port on the loopback address can be had"),
        }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What happens from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Lets bytes pass again. The clients of half-open connections are not notified, unless it was [cut](Mode::Cut)
    /// before.
    pub fn heal(&self) {
        self.set(Mode::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

/// A proxy's address.
#[derive(Debug)]
pub struct ReservedProxy {
    listener: TcpListener,
}

impl ReservedProxy {
    /// The port that clients will connect to.
    pub fn port(&self) -> u16 {
        let address = self.listener.local_addr();
        address.expect("a listener has an address").port()
    }

    /// Starts to work for the server at `port`.
    pub fn forward(self, port: u16) -> Proxy {
        let address = self.listener.local_addr().expect("a listener has an address");
        let (mode, modes) = watch::channel(Mode::Pass);
        let acceptor = tokio::spawn(accept(self.listener, port, modes)).abort_handle();
        Proxy {
            address,
            mode,
            acceptor,
        }
    }
}

async fn accept(listener: TcpListener, port: u16, modes: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                connections.spawn(serve(client, port, modes.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One connection, from its beginning to its end.
async fn serve(mut client: TcpStream, port: u16, mut modes: watch::Receiver<Mode>) {
    // A connection that is made while nothing passes waits for better times, as an unanswered SYN does.
    let moves = |mode: &Mode| !matches!(mode, Mode::Stall | Mode::HalfOpen);
    if !modes.wait_for(moves).await.is_ok_and(|mode| *mode != Mode::Cut) {
        return;
    }
    let Ok(mut server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ended_by = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            mode = pass(from_client, to_server, modes.clone(), Direction::Request) => mode,
            mode = pass(from_server, to_client, modes.clone(), Direction::Answer) => mode,
        }
    };
    drop(server);
    if ended_by == Mode::HalfOpen {
        // The client's side stays open, and silent, until the clients are notified.
        let _ = modes.wait_for(|mode| *mode == Mode::Cut).await;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Request,
    Answer,
}

/// Passes bytes one way until an end closes or the mode says so, and returns the mode in which that was.
async fn pass(
    mut reader: ReadHalf<'_>,
    mut writer: WriteHalf<'_>,
    mut modes: watch::Receiver<Mode>,
    direction: Direction,
) -> Mode {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mode = *modes.borrow_and_update();
        match mode {
            Mode::Cut | Mode::HalfOpen => return mode,
            Mode::Stall => {
                if modes.changed().await.is_err() {
                    return Mode::Cut;
                }
                continue;
            }
            Mode::Pass | Mode::Slow(_) | Mode::LoseAnswers => {}
        }
        let read = tokio::select! {
            changed = modes.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return Mode::Cut,
            },
            read = reader.read(&mut buffer) => read,
        };
        let Ok(length @ 1..) = read else { return mode };
        match mode {
            Mode::LoseAnswers if direction == Direction::Answer => return mode,
            Mode::Slow(pause) => tokio::time::sleep(pause).await,
            _ => {}
        }
        if writer.write_all(&buffer[..length]).await.is_err() {
            return mode;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each byte with the next number, and notes what it was sent.
    async fn server() -> (u16, watch::Receiver<Vec<u8>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (port, (got, seen)) = (listener.local_addr().unwrap().port(), watch::channel(Vec::new()));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let got = got.clone();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        got.send_modify(|got| got.push(byte));
                        let _ = stream.write_u8(byte + 1).await;
                    }
                });
            }
        });
        (port, seen)
    }

    async fn connect(proxy: &Proxy) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
            .await
            .unwrap()
    }

    async fn ask(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
        stream.write_u8(byte).await?;
        stream.read_u8().await
    }

    const SOON: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn bytes_pass_until_it_is_cut_and_again_afterwards() {
        let (port, _) = server().await;
        let proxy = Proxy::to(port).await;
        let mut stream = connect(&proxy).await;
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
        proxy.set(Mode::Cut);
        assert!(ask(&mut stream, 3).await.is_err());
        assert!(ask(&mut connect(&proxy).await, 3).await.is_err());
        proxy.heal();
        assert_eq!(ask(&mut connect(&proxy).await, 5).await.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_stall_loses_nothing() {
        let (port, _) = server().await;
        let proxy = Proxy::to(port).await;
        let mut stream = connect(&proxy).await;
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
        proxy.set(Mode::Stall);
        let mut asked = std::pin::pin!(ask(&mut stream, 3));
        assert!(tokio::time::timeout(SOON, &mut asked).await.is_err());
        proxy.heal();
        assert_eq!(asked.await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_half_open_connection_is_silent_until_the_client_is_notified() {
        let (port, _) = server().await;
        let proxy = Proxy::to(port).await;
        let mut stream = connect(&proxy).await;
        assert_eq!(ask(&mut stream, 1).await.unwrap(), 2);
        proxy.set(Mode::HalfOpen);
        let silent = tokio::time::timeout(SOON, ask(&mut stream, 3)).await;
        assert!(silent.is_err(), "{silent:?}");
        proxy.set(Mode::Pass);
        let silent = tokio::time::timeout(SOON, stream.read_u8()).await;
        assert!(silent.is_err(), "{silent:?}");
        proxy.set(Mode::Cut);
        assert!(stream.read_u8().await.is_err());
    }

    #[tokio::test]
    async fn a_lost_answer_is_to_a_request_that_went_through() {
        let (port, mut seen) = server().await;
        let proxy = Proxy::to(port).await;
        let mut stream = connect(&proxy).await;
        proxy.set(Mode::LoseAnswers);
        assert!(ask(&mut stream, 7).await.is_err());
        assert_eq!(*seen.wait_for(|got| !got.is_empty()).await.unwrap(), [7]);
    }

    #[tokio::test]
    async fn what_is_slow_arrives() {
        let (port, _) = server().await;
        let proxy = Proxy::to(port).await;
        proxy.set(Mode::Slow(SOON));
        let started = std::time::Instant::now();
        assert_eq!(ask(&mut connect(&proxy).await, 1).await.unwrap(), 2);
        assert!(started.elapsed() >= 2 * SOON);
    }
}

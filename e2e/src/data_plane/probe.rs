//! Packets, and what becomes of them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use super::network_namespace::NetworkNamespace;

/// How long an answer may take before there is none. On one machine it takes well below a
/// millisecond; the rest is for a busy one.
pub(super) const PATIENCE: Duration = Duration::from_millis(800);

const QUESTION: &[u8] = b"who?";

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// A connection is opened, and the other end, asked, says its name.
    Tcp,
    /// One datagram is sent from a fresh port, and the other end answers with its name.
    Udp,
}

impl Protocol {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// What became of a packet. Anything else, such as a refused connection or the answer of somebody
/// else, is an error: it would say nothing about a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The right one answered.
    Allowed,
    /// Nobody answered.
    Denied,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        })
    }
}

/// Listeners that answer with a name. Dropped, they close.
pub(super) struct Listeners(Vec<JoinHandle<()>>);

impl Listeners {
    /// Listens in a network namespace on one of its addresses, with both protocols on each port.
    pub(super) async fn open(
        namespace: &NetworkNamespace,
        name: &str,
        address: Ipv4Addr,
        ports: &[u16],
    ) -> Result<Self> {
        let ports = ports.to_vec();
        let sockets = namespace
            .inside(move || {
                let bind = |port: u16| -> io::Result<(TcpListener, UdpSocket)> {
                    let here = SocketAddr::from((address, port));
                    let tcp = TcpListener::bind(here)?;
                    let udp = UdpSocket::bind(here)?;
                    tcp.set_nonblocking(true)?;
                    udp.set_nonblocking(true)?;
                    Ok((tcp, udp))
                };
                ports.into_iter().map(bind).collect::<io::Result<Vec<_>>>()
            })
            .await?
            .context("failed to listen")?;
        let mut tasks = Vec::new();
        for (tcp, udp) in sockets {
            let tcp = tokio::net::TcpListener::from_std(tcp)?;
            let udp = tokio::net::UdpSocket::from_std(udp)?;
            tasks.push(tokio::spawn(answer_connections(tcp, name.to_owned())));
            tasks.push(tokio::spawn(answer_datagrams(udp, name.to_owned())));
        }
        Ok(Self(tasks))
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn answer_connections(listener: tokio::net::TcpListener, name: String) {
    // Aborted, it takes the connections along.
    let mut open = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        open.spawn(answer_connection(stream, name.clone()));
    }
}

/// Says the name as often as the other end says something. That one may be gone.
async fn answer_connection(mut stream: TcpStream, name: String) -> io::Result<()> {
    while stream.read(&mut [0; 64]).await? > 0 {
        stream.write_all(name.as_bytes()).await?;
    }
    Ok(())
}

async fn answer_datagrams(socket: tokio::net::UdpSocket, name: String) {
    let mut buffer = [0; 64];
    // An error is that of an earlier answer whose receiver is gone.
    loop {
        if let Ok((_, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(name.as_bytes(), from).await;
        }
    }
}

/// Sends packets from a network namespace, and says what became of them.
pub(super) async fn probe(
    from: &NetworkNamespace,
    to: SocketAddr,
    protocol: Protocol,
    expected: &str,
    patience: Duration,
) -> Result<Verdict> {
    let answer = match protocol {
        Protocol::Tcp => tokio::time::timeout(patience, connect(from, to)).await,
        Protocol::Udp => tokio::time::timeout(patience, exchange(from, to)).await,
    };
    match answer {
        Err(_) => Ok(Verdict::Denied),
        Ok(Err(error)) => Err(error).with_context(|| format!("{protocol} to {to}")),
        Ok(Ok(name)) => {
            ensure!(
                name == expected,
                "{protocol} to {to} was answered by {name}"
            );
            Ok(Verdict::Allowed)
        }
    }
}

/// How many packets were sent, and how many were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leak {
    /// Datagrams, each from a port of its own, so that none belongs to what was open before.
    pub sent: usize,
    /// Those that somebody answered.
    pub answered: usize,
}

/// Sends datagrams, one after the other, as long as something goes on, and on a slow machine until there
/// are enough to tell something.
pub(super) async fn leak<T>(
    from: &NetworkNamespace,
    to: SocketAddr,
    during: impl Future<Output = Result<T>>,
) -> Result<(T, Leak)> {
    let mut during = std::pin::pin!(during);
    let mut leak = Leak::default();
    // Answers come within a millisecond or not at all; sockets are kept for much longer.
    let mut waiting = VecDeque::new();
    let answered = |socket: &tokio::net::UdpSocket| socket.try_recv(&mut [0; 256]).is_ok();
    let mut result = None;
    while result.is_none() || leak.sent < LEAST {
        tokio::select! {
            ended = &mut during, if result.is_none() => result = Some(ended?),
            () = tokio::time::sleep(BETWEEN) => {}
        }
        let socket = datagram(from, to).await?;
        // Without a route it is not even sent.
        if socket.send(QUESTION).await.is_ok() {
            waiting.push_back(socket);
        }
        leak.sent += 1;
        if waiting.len() > KEPT
            && let Some(oldest) = waiting.pop_front()
        {
            leak.answered += usize::from(answered(&oldest));
        }
    }
    tokio::time::sleep(PATIENCE).await;
    leak.answered += waiting.iter().filter(|socket| answered(socket)).count();
    let result = result.context("what goes on has not ended")?;
    Ok((result, leak))
}

/// Time between two datagrams that look for a leak.
const BETWEEN: Duration = Duration::from_millis(3);
/// How many there are at least.
const LEAST: usize = 101;
/// How many of them may be without an answer yet.
const KEPT: usize = 200;

async fn connect(from: &NetworkNamespace, to: SocketAddr) -> Result<String> {
    let mut stream = connection(from, to).await?;
    stream.write_all(QUESTION).await?;
    stream.shutdown().await?;
    let mut name = String::new();
    stream.read_to_string(&mut name).await?;
    Ok(name)
}

async fn connection(from: &NetworkNamespace, to: SocketAddr) -> Result<TcpStream> {
    let socket = from.inside(tokio::net::TcpSocket::new_v4).await??;
    Ok(socket.connect(to).await?)
}

async fn datagram(from: &NetworkNamespace, to: SocketAddr) -> Result<tokio::net::UdpSocket> {
    let socket = from
        .inside(move || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            socket.set_nonblocking(true)?;
            socket.connect(to)?;
            io::Result::Ok(socket)
        })
        .await??;
    Ok(tokio::net::UdpSocket::from_std(socket)?)
}

async fn exchange(from: &NetworkNamespace, to: SocketAddr) -> Result<String> {
    let socket = datagram(from, to).await?;
    socket.send(QUESTION).await?;
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).await?;
    text(&buffer[..length])
}

fn text(answer: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(answer).context("the answer is no text")?;
    Ok(text.to_owned())
}

/// A TCP connection that stays open, or a UDP port that goes on sending to the same one.
pub struct Conversation {
    with: String,
    socket: Socket,
}

enum Socket {
    Tcp(TcpStream),
    Udp(tokio::net::UdpSocket),
}

impl Conversation {
    /// Opens one, and hears the other end say its name.
    pub(super) async fn open(
        from: &NetworkNamespace,
        to: SocketAddr,
        protocol: Protocol,
        with: &str,
    ) -> Result<Self> {
        let socket = match protocol {
            Protocol::Tcp => Socket::Tcp(connection(from, to).await?),
            Protocol::Udp => Socket::Udp(datagram(from, to).await?),
        };
        let mut conversation = Self {
            with: with.to_owned(),
            socket,
        };
        let first = conversation.goes_on().await?;
        ensure!(first == Verdict::Allowed, "{protocol} to {to} is {first}");
        Ok(conversation)
    }

    /// Whether the other end still answers.
    ///
    /// # Errors
    /// Where the connection broke, or somebody else answered.
    pub async fn goes_on(&mut self) -> Result<Verdict> {
        let mut buffer = [0; 256];
        let exchange = async {
            Ok::<_, io::Error>(match &mut self.socket {
                Socket::Tcp(stream) => {
                    stream.write_all(QUESTION).await?;
                    stream.read(&mut buffer).await?
                }
                Socket::Udp(socket) => {
                    socket.send(QUESTION).await?;
                    socket.recv(&mut buffer).await?
                }
            })
        };
        let Ok(length) = tokio::time::timeout(PATIENCE, exchange).await else {
            return Ok(Verdict::Denied);
        };
        let answer = text(&buffer[..length?])?;
        ensure!(
            answer == self.with,
            "{} was expected, not {answer}",
            self.with
        );
        Ok(Verdict::Allowed)
    }
}

//! Packets, and what becomes of them.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// Calls of one kind, one after the other. Each is a connection or a datagram from a port of its own, so that none
/// belongs to what was open before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls(Vec<(Instant, bool)>);

impl Calls {
    /// How many were made.
    #[must_use]
    pub fn made(&self) -> usize {
        self.0.len()
    }

    /// How many of them somebody answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.0.iter().filter(|(_, answered)| *answered).count()
    }

    /// Whether there were enough of them to tell something, and none was answered.
    #[must_use]
    pub fn all_denied(&self) -> bool {
        self.made() > ENOUGH && self.answered() == 0
    }

    /// Whether there were enough of them to tell something, and each was answered.
    #[must_use]
    pub fn all_allowed(&self) -> bool {
        self.made() > ENOUGH && self.answered() == self.made()
    }

    /// How long after a moment the last one was made that somebody answered.
    #[must_use]
    pub fn open_until(&self, since: Instant) -> Duration {
        let answered = self.0.iter().rev().find(|(_, answered)| *answered);
        answered.map_or(Duration::ZERO, |(made, _)| {
            made.saturating_duration_since(since)
        })
    }

    /// Whether their outcome changed at most once, from one to another. Two that were made in the same moment may
    /// meet what changes in either order.
    #[must_use]
    pub fn changed_once(&self, from: bool, to: bool) -> bool {
        self.made() > ENOUGH && self.wavered(from, to) < SAME_MOMENT
    }

    /// For how long it was neither as before nor as afterwards.
    fn wavered(&self, from: bool, to: bool) -> Duration {
        let first_new = self.0.iter().find(|(_, answered)| *answered != from);
        let last_old = self.0.iter().rev().find(|(_, answered)| *answered != to);
        match (first_new, last_old) {
            (Some((new, _)), Some((old, _))) => old.saturating_duration_since(*new),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.answered(), self.made())?;
        match (self.0.first(), self.0.last()) {
            (Some((_, from)), Some((_, to)))
                if 0 < self.answered() && self.answered() < self.made() =>
            {
                write!(f, " (wavering for {:?})", self.wavered(*from, *to))
            }
            _ => Ok(()),
        }
    }
}

/// Makes calls, one after the other, as long as something goes on, and on a slow machine until there
/// are enough to tell something.
pub(super) async fn call(
    from: &NetworkNamespace,
    to: SocketAddr,
    protocol: Protocol,
    ended: &AtomicBool,
) -> Result<Calls> {
    let mut outcomes = Vec::new();
    let mut made = 0;
    // A task waits for the answer, so that the next call is made in time.
    let mut open = JoinSet::new();
    while !ended.load(Ordering::Relaxed) || made <= ENOUGH {
        match protocol {
            Protocol::Tcp => {
                let socket = from.inside(tokio::net::TcpSocket::new_v4).await??;
                // The kernel sends again what was lost, but only after a second.
                open.spawn(async move {
                    let made = Instant::now();
                    let answer = tokio::time::timeout(PATIENCE, socket.connect(to)).await;
                    (made, matches!(answer, Ok(Ok(_))))
                });
            }
            Protocol::Udp => {
                let socket = datagram(from, to).await?;
                open.spawn(async move {
                    let made = Instant::now();
                    // Without a route it is not even sent.
                    let mut buffer = [0; 256];
                    let answer = async {
                        socket.send(QUESTION).await?;
                        socket.recv(&mut buffer).await
                    };
                    let answer = tokio::time::timeout(PATIENCE, answer).await;
                    (made, matches!(answer, Ok(Ok(_))))
                });
            }
        }
        made += 1;
        while let Some(ended) = open.try_join_next() {
            outcomes.push(ended?);
        }
        tokio::time::sleep(BETWEEN).await;
    }
    while let Some(ended) = open.join_next().await {
        outcomes.push(ended?);
    }
    outcomes.sort_unstable();
    Ok(Calls(outcomes))
}

/// Time between two calls.
const BETWEEN: Duration = Duration::from_millis(3);
/// More than this tell something.
const ENOUGH: usize = 100;
/// Calls that are made within this time may overtake each other on a busy machine.
const SAME_MOMENT: Duration = Duration::from_millis(20);

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
    loop {
        let port = from.fresh_port();
        let bound = from
            .inside(move || {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
                socket.set_nonblocking(true)?;
                socket.connect(to)?;
                io::Result::Ok(socket)
            })
            .await?;
        match bound {
            // Somebody listens there.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => return Ok(tokio::net::UdpSocket::from_std(bound?)?),
        }
    }
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

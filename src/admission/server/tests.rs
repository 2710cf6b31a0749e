use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_rustls::client::TlsStream;

use super::*;

const SERVER: &str = "127.0.0.1";

struct Served {
    listening: Listening,
    certificate: Certificate,
    metrics: Arc<Metrics>,
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
    /// Nothing is known as long as nothing is sent.
    _knowledge: watch::Sender<Option<Knowledge>>,
}

impl Served {
    fn start() -> Self {
        let certificate = Certificate::make(SERVER, Timestamp::now(), None).unwrap();
        let (knowledge, known) = watch::channel(None);
        let metrics = Metrics::shared();
        let address = "127.0.0.1:0".parse().unwrap();
        let turns = Arc::new(Semaphore::new(AT_ONCE as usize));
        let room = Arc::new(Semaphore::new(ROOM));
        let reviewer = Reviewer {
            knowledge: known,
            metrics: metrics.clone(),
            turns: turns.clone(),
            room: room.clone(),
        };
        Self {
            listening: serve_by(address, &certificate, reviewer).unwrap(),
            certificate,
            metrics,
            turns,
            room,
            _knowledge: knowledge,
        }
    }

    /// Posts a body, and returns status and body of the answer.
    async fn post(&self, body: &[u8]) -> (u16, String) {
        let mut connection = self.send(body, body.len()).await;
        let mut answer = Vec::new();
        let _ = connection.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    /// Sends the beginning of a body of so many bytes.
    async fn send(&self, body: &[u8], length: usize) -> TlsStream<tokio::net::TcpStream> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.certificate.roots().unwrap())
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let connection = tokio::net::TcpStream::connect(self.listening.address)
            .await
            .unwrap();
        let mut connection = connector
            .connect(name(SERVER).unwrap(), connection)
            .await
            .unwrap();
        let head = format!(
            "POST {REVIEW_PATH} HTTP/1.1\r\nhost: guard\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        // A server that refuses need not read all of it.
        let _ = connection.write_all(body).await;
        let _ = connection.flush().await;
        connection
    }

    fn counts(&self, result: ReviewResult) -> u64 {
        let labels = ReviewLabels { result };
        self.metrics.guard_reviews.get_or_create(&labels).get()
    }
}

fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "42",
            "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"},
            "resource": {"group": "networking.k8s.io", "version": "v1", "resource": "networkpolicies"},
            "name": "a", "namespace": "shop-web", "operation": "CREATE",
            "userInfo": {"username": "developer"},
            "object": {"metadata": {"name": "a", "namespace": "shop-web"}, "spec": {"podSelector": {}}},
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_is_known_it_passes_with_a_warning() {
    let served = Served::start();
    let (status, body) = served.post(review().to_string().as_bytes()).await;
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["response"]["uid"], "42");
    assert_eq!(answer["response"]["allowed"], true);
    let warning = answer["response"]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("has just started"), "{warning}");
    assert_eq!(served.counts(ReviewResult::Warned), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_told_and_counted() {
    let served = Served::start();
    let deep = vec![b'['; 100_000];
    let invalid = [b'"', 0xff, 0xfe, b'"'];
    for body in [b"".as_slice(), b"{}", b"[1, 2", &deep, &invalid] {
        let (status, answer) = served.post(body).await;
        assert_eq!(status, 400, "{answer}");
    }
    assert_eq!(served.counts(ReviewResult::Failed), 5);
    probe(served.listening.address.port(), SERVER, &served.certificate)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_not_read() {
    let served = Served::start();
    let (status, _) = served.post(&vec![b' '; LARGEST_REQUEST + 1]).await;
    assert_eq!(status, 413);
}

/// Waits until a semaphore has so many permits left.
async fn left(semaphore: &Semaphore, wanted: impl Fn(usize) -> bool) -> usize {
    let looking = async {
        loop {
            let left = semaphore.available_permits();
            if wanted(left) {
                return left;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), looking)
        .await
        .expect("it never came to that")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_not_out() {
    let served = Served::start();
    let all = served.turns.clone().acquire_many_owned(4).await.unwrap();
    let port = served.listening.address.port();
    probe(port, SERVER, &served.certificate).await.unwrap();
    drop(all);
    let (status, _) = served.post(review().to_string().as_bytes()).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_is_judged_alone() {
    let served = Served::start();
    let one = served.turns.clone().acquire_owned().await.unwrap();
    let (status, _) = served.post(review().to_string().as_bytes()).await;
    assert_eq!(status, 200, "a small one has a turn beside another one");
    let mut large = review().to_string().into_bytes();
    large.resize(LARGE_REQUEST + 1, b' ');
    let posting = served.post(&large);
    let releasing = async {
        // It takes what turns there are, and waits for the last one.
        left(&served.turns, |it| it == 0).await;
        assert_eq!(served.counts(ReviewResult::Warned), 1);
        drop(one);
    };
    let ((status, _), ()) = tokio::join!(posting, releasing);
    assert_eq!(status, 200);
    assert_eq!(served.counts(ReviewResult::Warned), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_do_not_fill_the_memory() {
    let served = Served::start();
    // Nobody gets a turn, so that all of them wait.
    let all = served.turns.clone().acquire_many_owned(4).await.unwrap();
    let large = vec![b' '; LARGEST_REQUEST];
    let mut waiting = Vec::new();
    for _ in 0..7 {
        waiting.push(served.send(&large, large.len()).await);
    }
    left(&served.room, |it| it == ROOM - 7 * LARGEST_REQUEST).await;
    // One more, which is slow, holds what it sent.
    let slow = served.send(&large[..1000], large.len()).await;
    left(&served.room, |it| it == LARGEST_REQUEST - 1000).await;
    let more = served.send(&large, large.len()).await;
    let short = left(&served.room, |it| it < LARGEST_REQUEST / 2).await;
    assert!(short < LARGEST_REQUEST / 2);
    drop((waiting, slow, more, all));
    // What broke off, and what came too late, gives its room back.
    assert_eq!(left(&served.room, |it| it == ROOM).await, ROOM);
    let (status, _) = served.post(review().to_string().as_bytes()).await;
    assert_eq!(status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_certificate_is_taken_while_it_runs() {
    let served = Served::start();
    let port = served.listening.address.port();
    probe(port, SERVER, &served.certificate).await.unwrap();
    let other = Certificate::make(SERVER, Timestamp::now(), None).unwrap();
    probe(port, SERVER, &other).await.unwrap_err();
    served.listening.renew(&other).unwrap();
    probe(port, SERVER, &other).await.unwrap();
    probe(port, SERVER, &served.certificate).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_does_not_answer() {
    let served = Served::start();
    let long_ago = "2020-01-01T00:00:00Z".parse().unwrap();
    let expired = Certificate::make(SERVER, long_ago, None).unwrap();
    served.listening.renew(&expired).unwrap();
    let port = served.listening.address.port();
    let error = probe(port, SERVER, &expired).await.unwrap_err();
    assert!(error.to_string().contains("expired"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_told() {
    let served = Served::start();
    let taken = served.listening.address;
    let (_sender, known) = watch::channel(None);
    let error = serve(taken, &served.certificate, known, Metrics::shared())
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains(&format!("failed to listen on {taken}")),
        "{error}"
    );
}

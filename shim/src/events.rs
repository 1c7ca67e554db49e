//! Events for containerd: one queue, sent in order, each until it was taken. Must never send one before those that were
//! published earlier, nor wait in a caller's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::shim::event::Envelope;
use containerd_shim_protos::shim::events::ForwardRequest;
use containerd_shim_protos::shim_async::{Client, EventsClient};
use protobuf::well_known_types::any::Any;
use protobuf::{Message, MessageField};
use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::{sleep, timeout};
use ttrpc::context;

/// How many wait at most while containerd is away; more are dropped, and told in the log.
const MOST: usize = 2048;

/// How long containerd may take for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries to send: from the first to the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];

/// The sending end.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    namespace: Arc<str>,
    queue: mpsc::UnboundedSender<Envelope>,
    waiting: Arc<AtomicUsize>,
    empty: Arc<Notify>,
}

impl Events {
    /// Starts the sender. Without an address nothing is sent.
    pub fn start(namespace: &str, address: Option<String>) -> Self {
        let (queue, taken) = mpsc::unbounded_channel();
        let events =
            Self { namespace: namespace.into(), queue, waiting: Arc::default(), empty: Arc::default() };
        let sender =
            Sender { address, client: None, waiting: events.waiting.clone(), empty: events.empty.clone() };
        tokio::spawn(sender.run(taken));
        events
    }

    /// Publishes an event; an Any has the bare name of its type.
    pub fn publish<M: Message>(&self, topic: &str, event: &M) {
        if self.waiting.load(Ordering::Relaxed) >= MOST {
            log::error!("{topic}: {MOST} events wait for containerd, and this one is dropped");
            return;
        }
        let value = match event.write_to_bytes() {
            Ok(value) => value,
            Err(error) => return log::error!("write event {topic}: {error}"),
        };
        let type_url = format!("containerd.events.{}", M::NAME);
        let envelope = Envelope {
            timestamp: MessageField::some(SystemTime::now().into()),
            namespace: self.namespace.to_string(),
            topic: topic.to_owned(),
            event: MessageField::some(Any { type_url, value, ..Any::default() }),
            ..Envelope::default()
        };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // The sender ends with the process.
        let _ = self.queue.send(envelope);
    }

    /// Waits until all is sent, or for as long as `limit`.
    pub async fn drain(&self, limit: Duration) {
        let drained = async {
            while self.waiting.load(Ordering::Relaxed) > 0 {
                self.empty.notified().await;
            }
        };
        if timeout(limit, drained).await.is_err() {
            log::warn!("{} events were not taken by containerd", self.waiting.load(Ordering::Relaxed));
        }
    }

    /// How many are not sent yet.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

struct Sender {
    address: Option<String>,
    client: Option<EventsClient>,
    waiting: Arc<AtomicUsize>,
    empty: Arc<Notify>,
}

impl Sender {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Envelope>) {
        while let Some(envelope) = queue.recv().await {
            self.deliver(envelope).await;
            if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.empty.notify_one();
            }
        }
    }

    async fn deliver(&mut self, envelope: Envelope) {
        let Some(address) = self.address.clone() else { return };
        let topic = envelope.topic.clone();
        let request = ForwardRequest { envelope: MessageField::some(envelope), ..ForwardRequest::default() };
        let [mut pause, longest] = PAUSES;
        loop {
            match self.send(&address, &request).await {
                Ok(()) => return,
                // containerd has understood and refused: it would do so again.
                Err(ttrpc::Error::RpcStatus(status)) if status.code() == ttrpc::Code::INVALID_ARGUMENT => {
                    return log::error!("event {topic}: {}", status.message());
                }
                Err(error) => log::debug!("event {topic}: {error}"),
            }
            self.client = None;
            sleep(pause).await;
            pause = longest.min(pause * 2);
        }
    }

    async fn send(&mut self, address: &str, request: &ForwardRequest) -> ttrpc::Result<()> {
        let client = match self.client.take() {
            Some(client) => client,
            None => EventsClient::new(connect(address).await?),
        };
        let limit = i64::try_from(PATIENCE.as_nanos()).unwrap_or(i64::MAX);
        client.forward(context::with_timeout(limit), request).await?;
        self.client = Some(client);
        Ok(())
    }
}

async fn connect(address: &str) -> ttrpc::Result<Client> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    let stream = UnixStream::connect(path).await;
    let stream = stream.map_err(|error| ttrpc::Error::Socket(format!("connect to {path}: {error}")))?;
    Ok(Client::new(ttrpc::r#async::transport::Socket::from(stream)))
}

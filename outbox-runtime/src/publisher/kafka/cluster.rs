//! Which Kafka it is: every cluster has a random name from its making on, and a replaced one has another.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use tokio::sync::oneshot;

/// How long librdkafka waits for an answer before it looks again whether anybody still wants it.
const LOOK_UP: Duration = Duration::from_secs(1);

/// The cluster's name for itself, as soon as a broker answers. `None` if no client can be made.
///
/// librdkafka can only be asked by a thread that waits. It is not one of the runtime's, whose end would wait for
/// it; and it ends soon after the future is dropped.
pub(super) async fn name(config: ClientConfig) -> Option<String> {
    let (answer, answered) = oneshot::channel();
    let ask = move || {
        let client: AdminClient<DefaultClientContext> = config.create().ok()?;
        while !answer.is_closed() {
            if let Some(name) = client.inner().fetch_cluster_id(LOOK_UP) {
                // Nobody may want it any more.
                let _ = answer.send(name);
                return Some(());
            }
            std::thread::sleep(LOOK_UP / 10);
        }
        Some(())
    };
    std::thread::Builder::new()
        .name("outbox-kafka-name".to_owned())
        .spawn(ask)
        .ok()?;
    answered.await.ok()
}

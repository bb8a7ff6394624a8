pub struct Backoff;

fn wait() {
    crate::wire::packet::read(); // rejected
}

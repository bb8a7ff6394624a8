//! What a session is: what must be put back on another server connection, and what ties it to the one it has.
//! No I/O: the frontend tells it what was said, and asks.

pub mod announced;
pub mod checksum;
pub mod doubts;
pub mod elsewhere;
pub mod hold;
pub mod lineage;
pub mod locks;
pub mod observation;
pub mod preferences;
pub mod seen;
#[allow(clippy::module_inception)]
pub mod session;
pub mod state;
pub mod statements;
pub mod temporary;
pub mod tracked;
pub mod transcript;
pub mod user_variables;
pub mod variables;

pub use checksum::Checksum;
pub use doubts::{Calling, Routine};
pub use hold::{Hold, Holds};
pub use lineage::Lineage;
pub use observation::Observation;
pub use preferences::{BadPreference, Preferences, Wishes};
pub use seen::Seen;
pub use session::Session;
pub use state::State;
pub use statements::{Statement, Statements, Template};
pub use transcript::{Budget, Form, Transcript};
pub use user_variables::UserVariables;
pub use variables::Variables;

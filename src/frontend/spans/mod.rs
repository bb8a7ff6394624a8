//! Statements as spans of OpenTelemetry, where the configuration names a collector: begun with the statement, told
//! at its end to a bounded queue, and sent by a task of their own. Nothing of it ever waits for the collector.

mod client;
mod encode;
mod export;
mod parent;
mod span;
mod tracer;

pub use client::{begin, of_execution, of_query};
pub use export::run;
pub use parent::Parent;
pub use span::{Beginning, Span};
pub use tracer::{SpanCounts, Tracer};

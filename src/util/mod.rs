//! Small things that know nothing of the domain.

pub mod calendar;
pub mod clock;
pub mod driver;
pub mod hexadecimal;
pub mod like;
pub mod random;
pub mod scheduling;
pub mod secret;
pub mod shelf;
pub mod stopwatch;
pub mod suggest;

pub use like::like;
pub use random::Random;
pub use secret::Secret;
pub use shelf::Shelf;
pub use stopwatch::Stopwatch;

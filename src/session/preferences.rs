//! stub
use std::time::Duration;
use crate::sql::HintLevel;
#[derive(Debug, Clone, Default)]
pub struct Preferences { pub consistency: Option<HintLevel>, pub max_lag: Option<Duration> }

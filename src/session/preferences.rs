//! stub
use crate::sql::HintLevel;
use std::time::Duration;
#[derive(Debug, Clone, Default)]
pub struct Preferences {
    pub consistency: Option<HintLevel>,
    pub max_lag: Option<Duration>,
}

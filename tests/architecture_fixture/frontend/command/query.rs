use super::super::super::backend::Pool;
use super::super::Frontend;
use super::super::super::{app::App, wire}; // rejected
// use crate::app;

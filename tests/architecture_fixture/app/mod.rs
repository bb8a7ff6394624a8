use crate::{admin, backend, config, frontend};

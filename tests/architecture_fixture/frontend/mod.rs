mod command;

use crate::backend::Pool;
use crate::Error; // rejected

// rejected: a folder must have a floor before it may import anything
use crate::util;

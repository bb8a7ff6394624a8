use crate::config::Config;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontend::Listener; // rejected
}

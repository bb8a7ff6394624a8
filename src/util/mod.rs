//! Small things that know nothing of the domain.

//! Which stored routines a statement calls, and whether they are known to leave nothing on its connection.

use super::client::Client;
use crate::session::{Calling, Routine, Template};
use crate::sql::{self, Class, Facts, Flags, Verb};
use crate::topology::Snapshot;

// === impl Client ===

impl Client {
    /// What is known of what the text calls. A function that only reads leaves nothing.
    pub fn calling(&self, text: &[u8], facts: &Facts) -> Calling {
        let calls = facts.class == Class::ReadIf || facts.features.verb == Verb::Call;
        if !calls {
            return Calling::Anything;
        }
        let snapshot = self.worker.shared.topology.snapshot();
        let Some(routines) = self.called(text, facts, snapshot.made_anew) else {
            return Calling::Anything;
        };
        if routines.iter().all(|routine| is_tidy(&snapshot, routine)) {
            Calling::Tidy
        } else {
            Calling::Unproven(routines)
        }
    }

    /// The same for a statement that was prepared: it names what it named then.
    pub fn calling_prepared(&self, template: &Template) -> Calling {
        if self.session.state.schema != template.state.schema {
            return Calling::Anything;
        }
        self.calling(&template.text, &template.facts)
    }

    /// All that it calls, if that is known.
    fn called(&self, text: &[u8], facts: &Facts, time: u64) -> Option<Vec<Routine>> {
        let own = self.session.state.schema.as_deref();
        let routine = |is_procedure, schema: Option<&[u8]>, name: &[u8]| {
            Some(Routine {
                is_procedure,
                schema: schema.or(own)?.into(),
                name: name.into(),
                time,
            })
        };
        if facts.features.verb == Verb::Call {
            let called = sql::called_procedure(text, self.session.dialect)?;
            return Some(vec![routine(true, called.schema.as_deref(), &called.name)?]);
        }
        let assigns = facts.features.has(Flags::ASSIGNS_USER_VARIABLE);
        let calls = facts.calls.iter().filter(|_| !assigns);
        let calls = calls.map(|call| {
            let schema = call.schema.as_deref().map(str::as_bytes);
            routine(false, schema, call.name.as_bytes())
        });
        let routines: Vec<_> = calls.collect::<Option<_>>()?;
        (!routines.is_empty()).then_some(routines)
    }

    /// The routines that the session called may have become known since.
    pub fn dispel_doubts(&mut self) {
        let snapshot = self.worker.shared.topology.snapshot();
        let time = snapshot.known_as_of;
        self.session
            .dispel_doubts(|routine| routine.time == time && is_tidy(&snapshot, routine));
    }
}

fn is_tidy(snapshot: &Snapshot, routine: &Routine) -> bool {
    let tidy = if routine.is_procedure {
        &snapshot.tidy
    } else {
        &snapshot.readers
    };
    tidy.has(&routine.schema, &routine.name)
}

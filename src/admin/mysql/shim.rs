//! Between the library and the console: commands in, rows or errors out.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use opensrv_mysql::{
    AsyncMysqlShim, Column, ColumnFlags, ColumnType, ErrorKind, InitWriter, OkResponse, ParamParser,
    QueryResultWriter, RowWriter, StatementMetaWriter, StatusFlags, ValueInner,
};
use tokio::io::AsyncWrite;

use super::feed::NOT_SERVED;
use crate::admin::State;
use crate::admin::catalog::{Answer, Kind, Value};
use crate::admin::console::{self, Reply, Who, Wrong};
use crate::admin::language;

/// Prepared commands of one connection.
const MOST_PREPARED: usize = 256;

/// One connection.
pub struct Shim {
    pub state: Arc<State>,
    pub who: Who,
    prepared: HashMap<u32, Prepared>,
    next: u32,
}

struct Prepared {
    text: String,
    /// Where its parameters stand.
    places: Vec<usize>,
}

// === impl Shim ===

impl Shim {
    pub fn new(state: Arc<State>, who: Who) -> Self {
        Self {
            state,
            who,
            prepared: HashMap::new(),
            next: 1,
        }
    }

    /// With the role that it has now; none: the account was removed.
    fn who_now(&self) -> Option<Who> {
        let settings = self.state.shared.settings();
        let mut users = settings.config.admin.users.iter();
        let role = users.find(|user| user.name == self.who.user)?.role;
        let who = self.who.clone();
        Some(Who { role, ..who })
    }

    async fn answer<W: AsyncWrite + Send + Unpin>(
        &self,
        text: &str,
        results: QueryResultWriter<'_, W>,
    ) -> io::Result<()> {
        if text == NOT_SERVED {
            let text = "the admin port does not serve this command";
            return results
                .error(ErrorKind::ER_UNKNOWN_COM_ERROR, text.as_bytes())
                .await;
        }
        let Some(who) = self.who_now() else {
            let text = "this account is configured no more";
            return results
                .error(ErrorKind::ER_ACCESS_DENIED_ERROR, text.as_bytes())
                .await;
        };
        match console::run(&self.state, &who, text).await {
            Ok(Reply::Rows(answer)) => rows(&answer, results).await,
            Ok(Reply::Done(info)) => {
                let done = OkResponse {
                    status_flags: StatusFlags::SERVER_STATUS_AUTOCOMMIT,
                    info,
                    ..OkResponse::default()
                };
                results.completed(done).await
            }
            Err(wrong) => results.error(kind(&wrong), wrong.to_string().as_bytes()).await,
        }
    }
}

fn kind(wrong: &Wrong) -> ErrorKind {
    ErrorKind::from(wrong.code())
}

async fn rows<W: AsyncWrite + Send + Unpin>(
    answer: &Answer,
    results: QueryResultWriter<'_, W>,
) -> io::Result<()> {
    let columns: Vec<_> = answer.columns.iter().map(column).collect();
    let mut writer = results.start(&columns).await?;
    for row in &answer.rows {
        for value in row {
            field(&mut writer, value)?;
        }
        writer.end_row().await?;
    }
    writer.finish().await
}

fn column((name, kind): &(String, Kind)) -> Column {
    let (coltype, colflags) = match kind {
        Kind::Text | Kind::Boolean => (ColumnType::MYSQL_TYPE_VAR_STRING, ColumnFlags::empty()),
        Kind::Integer => (ColumnType::MYSQL_TYPE_LONGLONG, ColumnFlags::UNSIGNED_FLAG),
        Kind::Decimal => (ColumnType::MYSQL_TYPE_DOUBLE, ColumnFlags::empty()),
    };
    Column {
        table: String::new(),
        column: name.clone(),
        coltype,
        colflags,
    }
}

fn field<W: AsyncWrite + Send + Unpin>(writer: &mut RowWriter<'_, W>, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => writer.write_col(None::<&str>),
        Value::Text(text) => writer.write_col(text.as_str()),
        Value::Integer(number) => writer.write_col(*number),
        Value::Decimal(number) => writer.write_col(*number),
        Value::Boolean(_) => writer.write_col(value.to_string().as_str()),
    }
}

/// A parameter as it would be typed.
fn typed(value: ValueInner<'_>) -> Option<String> {
    Some(match value {
        ValueInner::NULL => return None,
        ValueInner::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueInner::Int(number) => number.to_string(),
        ValueInner::UInt(number) => number.to_string(),
        ValueInner::Double(number) => number.to_string(),
        // Nothing here is compared with a date.
        ValueInner::Date(_) | ValueInner::Time(_) | ValueInner::Datetime(_) => return None,
    })
}

#[async_trait]
impl<W: AsyncWrite + Send + Unpin> AsyncMysqlShim<W> for Shim {
    type Error = io::Error;

    async fn on_prepare<'a>(
        &'a mut self,
        query: &'a str,
        info: StatementMetaWriter<'a, W>,
    ) -> io::Result<()> {
        if self.prepared.len() >= MOST_PREPARED {
            let text = format!("Can't create more than {MOST_PREPARED} prepared commands");
            return info
                .error(ErrorKind::ER_MAX_PREPARED_STMT_COUNT_REACHED, text.as_bytes())
                .await;
        }
        let places = match language::parameters(query) {
            Ok(places) if places.len() <= usize::from(u8::MAX) => places,
            Ok(_) => {
                return info
                    .error(ErrorKind::ER_PS_MANY_PARAM, b"too many parameters".as_slice())
                    .await;
            }
            Err(bad) => {
                return info
                    .error(ErrorKind::ER_PARSE_ERROR, bad.to_string().as_bytes())
                    .await;
            }
        };
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        let parameter = column(&("?".to_owned(), Kind::Text));
        let parameters = vec![parameter; places.len()];
        let text = query.to_owned();
        self.prepared.insert(id, Prepared { text, places });
        info.reply(id, &parameters, &[]).await
    }

    async fn on_execute<'a>(
        &'a mut self,
        id: u32,
        params: ParamParser<'a>,
        results: QueryResultWriter<'a, W>,
    ) -> io::Result<()> {
        let Some(prepared) = self.prepared.get(&id) else {
            return results
                .error(
                    ErrorKind::ER_UNKNOWN_STMT_HANDLER,
                    b"no such statement".as_slice(),
                )
                .await;
        };
        let count = prepared.places.len();
        let values: Vec<_> = params
            .into_iter()
            .take(count)
            .map(|parameter| typed(parameter.value.into_inner()))
            .collect();
        let text = language::bind(&prepared.text, &prepared.places, &values);
        self.answer(&text, results).await
    }

    async fn on_close<'a>(&'a mut self, id: u32)
    where
        W: 'async_trait,
    {
        self.prepared.remove(&id);
    }

    async fn on_query<'a>(&'a mut self, query: &'a str, results: QueryResultWriter<'a, W>) -> io::Result<()> {
        self.answer(query, results).await
    }

    /// USE: the schema that EXPLAIN ROUTE takes for the session's.
    async fn on_init<'a>(&'a mut self, schema: &'a str, writer: InitWriter<'a, W>) -> io::Result<()> {
        self.who.schema = (!schema.is_empty()).then(|| schema.to_owned());
        writer.ok().await
    }
}

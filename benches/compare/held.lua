-- One event is a point select that takes the server a fixed time beside what it takes anyway, as if it
-- waited for a disk: what a server can do then depends on its connections alone, not on who shares its cores.

sysbench.cmdline.options = {
  table_size = {"Number of rows per table", 10000},
  tables = {"Number of tables", 1},
  held = {"Seconds that the server waits", "0.01"},
}

local connection

function thread_init()
  connection = sysbench.sql.driver():connect()
end

function event()
  local table_number = sysbench.rand.uniform(1, sysbench.opt.tables)
  local id = sysbench.rand.uniform(1, sysbench.opt.table_size)
  connection:query(string.format("SELECT c, SLEEP(%s) FROM sbtest%u WHERE id=%u", sysbench.opt.held, table_number, id))
end

-- One event is a whole visit: connect, log in, one point select, quit.
-- sysbench 1.0's own scripts keep their connections, so this load needs its own.

sysbench.cmdline.options = {
  table_size = {"Number of rows per table", 10000},
  tables = {"Number of tables", 1},
}

local driver

function thread_init()
  driver = sysbench.sql.driver()
end

function event()
  local connection = driver:connect()
  local table_number = sysbench.rand.uniform(1, sysbench.opt.tables)
  local id = sysbench.rand.uniform(1, sysbench.opt.table_size)
  connection:query(string.format("SELECT c FROM sbtest%u WHERE id=%u", table_number, id))
  connection:disconnect()
end

package threat

// class tells what a word is in the grammar of SQL.
type class uint8

const (
	other     class = iota
	logic           // AND, OR, XOR
	negation        // NOT
	literal         // NULL, TRUE, FALSE
	match           // LIKE, REGEXP: comparisons spelt as words
	in              // IN
	between         // BETWEEN
	is              // IS
	arith           // DIV, MOD
	union           // UNION, INTERSECT, EXCEPT, MINUS
	selectKw        // SELECT
	verb            // first word of a statement
	clause          // FROM, WHERE, ORDER ...
	ordinary        // words that may stand in a query and are no operators: BY, ALL, SET ...
	function        // functions whose names are English words as well
	builtin         // functions that are nothing but SQL
	dangerous       // functions that wait, read files, or raise errors on purpose
	system          // tables and procedures of the database itself
)

// word is what the detector knows of a word.
type word struct {
	text  string
	class class
	marks marks
}

// FNV-1a, 32 bits.
const (
	wordSeed  = 2166136261
	wordPrime = 16777619
)

const wordSlots = 4096

// words holds what is known of words, wordIndex where in words the word of a hash
// stands. The index is an open-addressed table small enough to stay in the first-level
// cache; nearly every word of ordinary text costs one probe. words[0] is the unknown word.
var words, wordIndex = func() (list []word, index [wordSlots]uint16) {
	list = []word{{}}
	add := func(c class, m marks, texts ...string) {
		for _, w := range texts {
			i := slot(hash(w))
			for index[i] != 0 && list[index[i]].text != w {
				i = (i + 1) % wordSlots
			}
			if index[i] != 0 { // known to SQL already
				list[index[i]].marks |= m
				continue
			}
			index[i] = uint16(len(list))
			list = append(list, word{w, c, m})
		}
	}
	add(logic, markLogic, "and", "or", "xor")
	add(negation, markLogic, "not", "binary")
	add(literal, markLogic, "null", "true", "false")
	add(match, markLogic, "like", "match", "sounds", "similar", "overlaps")
	add(match, markWord, "rlike", "regexp", "ilike", "glob", "regexp_like")
	add(in, markLogic, "in")
	add(between, markLogic, "between")
	add(is, markLogic, "is")
	add(arith, markWord, "div", "mod")
	add(union, markWord, "union", "intersect", "except", "minus")
	add(selectKw, markWord, "select")
	add(verb, markLogic, "insert", "update", "delete", "drop", "alter", "create", "truncate",
		"exec", "execute", "declare", "shutdown", "waitfor", "merge", "grant", "revoke", "copy", "backup",
		"restore", "load", "handler", "attach", "prepare", "rename", "call", "replace", "kill", "set", "use", "bulk")
	add(clause, markLogic, "from", "where", "limit", "into", "when", "values", "using", "case", "end", "else", "then",
		"as", "exists", "group", "order", "having", "escape", "join", "procedure", "offset", "begin", "return")
	add(clause, markWord, "collate", "notnull", "outfile", "dumpfile", "infile")
	add(ordinary, 0, "by", "all", "distinct", "table", "set", "on", "asc", "desc", "top",
		"view", "index", "delay", "any", "some", "for", "trigger")
	add(ordinary, markCode, "function")
	add(function, markCode, "if", "count", "sum", "min", "max", "avg", "left", "right", "round", "floor",
		"ceiling", "length", "lower", "upper", "reverse", "repeat", "convert", "cast", "char", "date", "time",
		"now", "hour", "minute", "second", "day", "month", "year", "week", "password", "version", "format",
		"space", "insert", "trim", "position", "field", "sign", "log", "power", "encode", "decode", "encrypt",
		"compress", "uncompress", "row", "interval", "default", "hex", "rand", "pi", "sin", "cos", "tan", "exp", "abs",
		"sqrt", "least", "greatest", "degrees", "radians", "quote", "current_user", "session_user", "translate",
		"likely", "unlikely", "likelihood", "total", "changes", "random", "quarter", "soundex", "difference",
		"schema", "weekday", "utc_date", "utc_time", "curtime", "curdate", "localtime", "isnull", "ord", "elt", "conv",
		"oct", "bin", "crc32", "connection_id", "polygon", "point", "multipoint", "user", "database", "local", "overlay", "unistr", "json", "mid")
	add(builtin, markCode, "substr", "substring", "ascii", "concat", "concat_ws", "group_concat", "unhex", "ifnull",
		"nullif", "coalesce", "strcmp", "char_length", "character_length", "octet_length", "bit_length", "lpad", "rpad",
		"ltrim", "rtrim", "locate", "instr", "make_set", "found_rows", "row_count", "last_insert_id", "chr", "nvl",
		"decode_base64", "from_base64", "to_base64", "des_encrypt", "des_decrypt", "aes_encrypt", "aes_decrypt",
		"to_char", "to_number", "to_date", "string_agg", "array_agg", "array_to_string", "row_to_json", "xmlagg",
		"db_name", "db_id", "host_name", "suser_name", "suser_sname", "user_name", "user_id", "system_user",
		"object_name", "object_id", "col_name", "is_srvrolemember", "is_member", "nchar", "stuff", "patindex",
		"charindex", "current_database", "current_setting", "current_schema", "inet_aton", "inet_ntoa",
		"json_extract", "json_valid", "json_type", "json_array", "json_object", "json_keys", "json_build_object",
		"jsonb_build_object", "jsonb_pretty", "json_agg", "typeof", "zeroblob", "quotename",
		"sqlite_version", "sqlite_compileoption_get", "sqlite_compileoption_used", "sqlite_source_id", "total_changes",
		"date_format", "date_add", "date_sub", "dayofweek", "dayofmonth", "dayofyear", "from_days", "from_unixtime",
		"unix_timestamp", "str_to_date", "timestampadd", "timestampdiff", "addtime", "subtime", "maketime", "makedate",
		"time_to_sec", "sec_to_time", "period_add", "period_diff", "sysdate", "find_in_set", "substring_index",
		"regexp_replace", "regexp_substr", "regexp_instr", "export_set", "oracle_version", "rawtohex", "hextoraw",
		"utl_raw", "xmltype", "convert_to", "convert_from", "pg_client_encoding", "quote_literal", "quote_ident",
		"to_timestamp", "to_seconds", "lcase", "ucase", "format_bytes", "bit_and", "bit_or", "bit_xor", "stddev_pop",
		"json_unquote", "varchar2", "get_lock", "is_free_lock", "iif", "procedure_analyse", "st_astext",
		"geometrycollection", "multilinestring", "linestring", "multipolygon", "st_latfromgeohash", "st_pointfromgeohash")
	add(dangerous, markWord, "sleep", "randomblob", "benchmark", "pg_sleep", "pg_sleep_for", "load_file", "extractvalue", "updatexml",
		"name_const", "xp_cmdshell", "xp_dirtree", "xp_regread", "xp_fileexist", "sp_executesql", "sp_oacreate",
		"sp_password", "sp_configure", "sp_addextendedproc", "sp_makewebtask", "xp_subdirs", "xp_availablemedia",
		"xp_loginconfig", "xp_enumgroups", "lo_import", "lo_export", "lo_get", "lo_create", "pg_read_file",
		"pg_ls_dir", "pg_stat_file", "query_to_xml", "database_to_xml", "dblink", "dblink_connect", "dbms_pipe",
		"dbms_lock", "dbms_ldap", "dbms_xmlgen", "dbms_java", "dbms_utility", "utl_http", "utl_inaddr", "utl_file", "httpuritype",
		"ctxsys", "ordsys", "openrowset", "opendatasource", "openquery", "load_extension", "sys_eval", "sys_exec",
		"fn_xe_file_target_read_file", "gtid_subset", "gtid_subtract", "bulk_insert", "sp_msforeachtable",
		"sp_helptext", "sp_start_job", "sp_add_job", "xp_servicecontrol", "xp_terminate_process", "xp_ntsec_enumdomains")
	add(system, markWord, "information_schema", "performance_schema", "sysobjects", "syscolumns", "sysusers",
		"sysservers", "sysdatabases", "syslogins", "sysserverse", "sqlite_master", "sqlite_schema", "sqlite_temp_master", "pg_catalog",
		"pg_class", "pg_user", "pg_shadow", "pg_database", "pg_tables", "pg_authid", "pg_roles", "pg_settings",
		"all_tables", "all_tab_columns", "user_tables", "user_tab_columns", "all_users", "dba_users", "dba_tables",
		"msysobjects", "msysaces", "msysqueries", "msysaccessobjects", "msysaccessstorage", "table_schema", "table_name", "column_name",
		"column_names", "schema_name", "schemata", "version_compile_os", "sqlite_sequence", "innodb_table_stats",
		"global_name", "tablespace_name", "user_password", "sys_context", "role_table_grants")
	add(other, markCode|markNoun, "prompt", "print", "fetch", "confirm", "document", "window", "location", "self", "top", "parent", "frames", "navigator", "string", "history", "this", "console", "object", "opener", "image", "worker", "org", "com", "system", "process", "java", "sun", "runtime", "response", "require", "include", "globals", "os")
	add(other, markCode, "alert", "eval", "settimeout", "setinterval", "setimmediate", "execscript",
		"atob", "btoa", "importscripts", "unescape", "decodeuricomponent", "getelementbyid",
		"queryselector", "mswriteprofilermark", "msgbox",
		"globalthis", "localstorage", "sessionstorage",
		"reflect", "innerhtml", "outerhtml", "fromcharcode", "insertadjacenthtml",
		"__definegetter__", "constructor", "xmlhttprequest", "activexobject", "websocket",
		"addeventlistener", "onerror", "appendchild", "createelement", "db", "javax", "ognl", "bsh", "groovy", "freemarker", "processbuilder", "php", "expression")
	add(other, markWord, "__proto__")
	add(other, markShell, "powershell", "pwsh", "certutil", "mshta", "regsvr32", "rundll32", "bitsadmin", "wscript", "cscript", "invoke", "iex", "iwr", "schtasks", "ipconfig", "systeminfo", "tasklist")
	add(other, markCode, "pickle", "subprocess", "marshal", "yaml", "classloader", "_memberaccess", "_server", "_get", "_post", "_request", "_cookie", "_files", "_env", "_session",
		"createobject")
	add(other, markWord, "require_once", "include_once")
	for _, calls := range []map[string]bool{certainCalls, literalCalls} {
		for name := range calls {
			add(other, markCode, name)
		}
	}
	add(other, markCode, "while", "require", "return", "function")
	return list, index
}()

func slot(h uint32) uint32 { return (h ^ h>>15) % wordSlots }

// wordAt gives the index in words of s, whose folded letters hash to h; 0 if s is unknown.
func wordAt(s string, h uint32) int {
	for i := slot(h); ; i = (i + 1) % wordSlots {
		w := int(wordIndex[i])
		if w == 0 || equalFold(s, words[w].text) {
			return w
		}
	}
}

// lookup finds what is known of s in any case.
func lookup(s string) *word { return &words[wordAt(s, hash(s))] }

func hash(s string) uint32 {
	h := uint32(wordSeed)
	for i := range len(s) {
		h = (h ^ uint32(lower[s[i]])) * wordPrime
	}
	return h
}

// equalFold compares s with t, which is in lower case.
func equalFold(s, t string) bool {
	if len(s) != len(t) {
		return false
	}
	for i := range len(s) {
		if lower[s[i]] != t[i] {
			return false
		}
	}
	return true
}

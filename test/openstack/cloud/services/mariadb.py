from cloud import ini, program, settings
from cloud.process import Process
from cloud.readiness import SocketOpen
from cloud.services.service import Service

DATA = settings.STATE / 'mariadb'
CONFIG_FILE = settings.ETC / 'mariadb.cnf'


def prepare() -> None:
    if not (DATA / 'mysql').exists():
        program.run('mariadb-install-db', [
            'mariadb-install-db', f'--defaults-file={CONFIG_FILE}', f'--datadir={DATA}', '--user=root',
            '--auth-root-authentication-method=normal', '--skip-test-db'])


def create_databases(names: list[str]) -> None:
    # comes with the packages
    import pymysql

    with pymysql.connect(unix_socket=str(ini.MARIADB_SOCKET), user='root') as connection:
        for name in names:
            connection.cursor().execute(f'CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb3')


service = Service(
    name='mariadb',
    prepare=prepare,
    config={
        'mariadb.cnf': f"""\
[mariadbd]
user = root
datadir = {DATA}
socket = {ini.MARIADB_SOCKET}
pid-file = {settings.RUN}/mariadb.own-pid
skip-networking
skip-name-resolve
skip-log-bin
max_connections = 800
character-set-server = utf8mb3
collation-server = utf8mb3_general_ci
performance_schema = off
# nothing here is worth a wait for the disk
innodb_flush_log_at_trx_commit = 0
innodb_flush_method = nosync
innodb_doublewrite = 0
innodb_buffer_pool_size = 256M
innodb_log_file_size = 64M
"""
    },
    processes=[
        Process(
            'mariadb',
            ['mariadbd', f'--defaults-file={CONFIG_FILE}'],
            ready=SocketOpen(str(ini.MARIADB_SOCKET)),
            stop_seconds=30,
        )
    ],
)

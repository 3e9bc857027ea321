"""How it is remembered: Postgres, and the public views. The only room that speaks SQL."""

from sqlalchemy import Connection as Tx
from sqlalchemy import Engine as Db

__all__ = ["Db", "Tx"]

"""Models under `from __future__ import annotations`."""

from __future__ import annotations

from typing import Optional

from typing_extensions import assert_type

from blaze import (
    Column,
    Field,
    ForeignKey,
    Model,
    OneToMany,
    RelatedList,
    Session,
    field,
    foreign_key,
    one_to_many,
)


class Team(Model):
    id: Field[int] = field(primary_key=True)
    name: Field[str] = field()
    players: OneToMany[Player] = one_to_many()


class Player(Model):
    id: Field[int] = field(primary_key=True)
    nick: Field[Optional[str]] = field(default=None)
    team: ForeignKey[Optional[Team]] = foreign_key(default=None, related_name="players")


def use(session: Session, player: Player, team: Team) -> None:
    Player(nick="x", team=Team(name="t"))
    Player()
    assert_type(player.team, Optional[Team])
    assert_type(team.players, RelatedList[Player])
    assert_type(Player.team.name, Column[str])
    assert_type(Team.players.nick, Column[Optional[str]])
    assert_type(session.query(Player).where(Player.team == team).all(), list[Player])

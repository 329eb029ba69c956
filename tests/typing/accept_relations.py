"""Relations: paths on the class, objects and lists on the instance."""

from typing import Any, Optional

from typing_extensions import assert_type

from blaze import AsyncQuerySet, Column, Expression, Part, QuerySet, RelatedList, Select, Session
from tests.typing.accept_models import Author, Book, Profile, Review, Tag, User


def paths() -> None:
    assert_type(Book.author, type[Author])
    assert_type(Book.editor, type[Author])
    assert_type(Author.books, type[Book])
    assert_type(Book.tags, type[Tag])
    assert_type(Profile.user, type[User])
    assert_type(User.parent, type[User])
    assert_type(User.profile, type[Profile])
    assert_type(User.profile.bio, Column[str])
    assert_type(Book.author.name, Column[str])
    assert_type(Book.editor.name, Column[str])
    assert_type(Book.author.books.title, Column[str])
    assert_type(Book.tags.name, Column[str])
    assert_type(Review.book.author.name, Column[str])
    assert_type(Profile.user.parent.code, Column[str])
    assert_type(Book.author_id, Column[int])


def conditions(author: Author, nobody: Optional[Author]) -> None:
    assert_type(Book.author == author, Expression[bool])
    assert_type(Book.author != author, Expression[bool])
    assert_type(Book.editor == nobody, Expression[bool])
    assert_type(Book.editor == None, Expression[bool])  # noqa: E711
    assert_type(~(Book.author == author), Expression[bool])
    assert_type((Book.author == author) & (Book.id > 1), Expression[bool])
    assert_type(Book.editor.is_(None), Expression[bool])
    assert_type(Book.editor.is_not(None), Expression[bool])
    assert_type(Book.author.in_([author]), Expression[bool])
    assert_type(Book.author.not_in([author]), Expression[bool])


def parts(session: Session, query: AsyncQuerySet[Author]) -> None:
    part = Author.books.where(Book.price < 20, Book.tags.name == "sf").order_by(Book.price.desc()).limit(3)
    assert_type(part, Part[Book])
    assert_type(part.include(Book.tags, best=Book.tags.limit(1)), Part[Book])
    assert_type(session.query(Author).include(Author.books), QuerySet[Author])
    assert_type(session.query(Author).include(Author.books, cheap=part), QuerySet[Any])
    assert_type(query.include(cheap=part), AsyncQuerySet[Any])
    assert_type(Select(Author).include(cheap=part), Select[Any])


def to_one(book: Book, review: Review, profile: Profile, user: User) -> None:
    assert_type(book.author, Author)
    assert_type(book.editor, Optional[Author])
    assert_type(book.author_id, int)
    assert_type(review.book_id, int)
    assert_type(profile.user, User)
    assert_type(user.profile, Optional[Profile])
    user.profile = profile
    user.profile = None
    assert_type(user.parent, Optional[User])
    assert_type(user.parent_id, Optional[str])
    assert_type(review.book.author.name, str)
    book.author = Author(name="x")
    book.author_id = 2
    book.editor = None


def to_many(author: Author, book: Book, tag: Tag) -> None:
    assert_type(author.books, RelatedList[Book])
    assert_type(book.tags, RelatedList[Tag])
    assert_type(author.books[0], Book)
    assert_type(author.books[:2], list[Book])
    assert_type(len(book.tags), int)
    assert_type(tag in book.tags, bool)
    for each in author.books:
        assert_type(each, Book)
    assert_type([each.name for each in book.tags], list[str])
    book.tags.add(tag)
    book.tags.add(tag, tag)
    book.tags.append(tag)
    book.tags.remove(tag)
    book.tags.set([tag])
    book.tags.clear()
    book.tags = [tag]


async def asked(author: Author, query: QuerySet[Book]) -> None:
    assert_type(await author.books.count(), int)
    assert_type(await author.books.exists(), bool)
    number: int = author.books.count() + 1
    assert_type(author.books.where(Book.price < 20).first(), Optional[Book])
    assert_type(author.books.filter(title="x").count(), int)
    if author.books.exists() and number:
        assert_type(author.books.query(), QuerySet[Book])


def links(session: Session, book: Book, tag: Tag) -> None:
    session.add_m2m(book, Book.tags, tag, tag)
    session.add_m2m(book, "tags", tag)
    session.remove_m2m(book, Book.tags, tag)
    session.clear_m2m(book, Book.tags)
    book.m2m_add("tags", tag)
    book.m2m_remove("tags", tag)
    book.m2m_clear("tags")

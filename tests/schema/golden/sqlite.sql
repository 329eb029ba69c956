CREATE TABLE "everything" (
  "id" INTEGER PRIMARY KEY,
  "flag" BOOLEAN NOT NULL,
  "number" INTEGER NOT NULL,
  "weight" REAL BLOB NOT NULL,
  "price" NUMERIC TEXT(10, 2) COLLATE decimal NOT NULL,
  "amount" NUMERIC TEXT COLLATE decimal,
  "name" VARCHAR(20) NOT NULL,
  "text" TEXT,
  "picture" BLOB NOT NULL,
  "day" DATE TEXT NOT NULL,
  "clock" TIME TEXT,
  "moment" TIMESTAMPTZ TEXT NOT NULL,
  "local" TIMESTAMP TEXT,
  "length" INTERVAL INTEGER NOT NULL,
  "key" UUID TEXT NOT NULL,
  "colour" VARCHAR(4) NOT NULL,
  "level" INTEGER NOT NULL,
  "data" JSON TEXT NOT NULL,
  "numbers" ARRAY TEXT NOT NULL
);

CREATE TABLE "defaults" (
  "id" INTEGER PRIMARY KEY,
  "created" TIMESTAMPTZ TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000+00:00', 'now')),
  "local" TIMESTAMP TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f000', 'now')),
  "day" DATE TEXT NOT NULL DEFAULT (date('now')),
  "state" VARCHAR(20) NOT NULL DEFAULT ('it''s new'),
  "number" INTEGER NOT NULL DEFAULT (6 * 7),
  "double" INTEGER GENERATED ALWAYS AS (number * 2) STORED NOT NULL
);

CREATE TABLE "report" (
  "id" INTEGER PRIMARY KEY,
  "statistic_id" INTEGER NOT NULL
);

CREATE TABLE "room" (
  "building" VARCHAR(10) NOT NULL,
  "RoomNo" INTEGER NOT NULL,
  "seats" INTEGER NOT NULL,
  CONSTRAINT "pk_room" PRIMARY KEY ("building", "RoomNo"),
  CONSTRAINT "ck_room_seats" CHECK (seats > 0)
);

CREATE TABLE "booking" (
  "id" INTEGER PRIMARY KEY,
  "day" DATE TEXT NOT NULL,
  "room_building" VARCHAR(10) NOT NULL,
  "room_number" INTEGER NOT NULL,
  "spare_building" VARCHAR(10),
  "spare_number" INTEGER,
  CONSTRAINT "uq_booking_spare_building_spare_number" UNIQUE ("spare_building", "spare_number"),
  CONSTRAINT "fk_booking_room_building_room_number" FOREIGN KEY ("room_building", "room_number") REFERENCES "room" ("building", "RoomNo") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "fk_booking_spare_building_spare_number" FOREIGN KEY ("spare_building", "spare_number") REFERENCES "room" ("building", "RoomNo") ON UPDATE CASCADE
);

CREATE TABLE "article" (
  "id" INTEGER PRIMARY KEY,
  "title" TEXT NOT NULL
);

CREATE TABLE "company" (
  "id" INTEGER PRIMARY KEY,
  "name" VARCHAR(80) NOT NULL,
  "owner_id" INTEGER NOT NULL,
  CONSTRAINT "uq_company_name" UNIQUE ("name"),
  CONSTRAINT "fk_company_owner_id" FOREIGN KEY ("owner_id") REFERENCES "person" ("id") ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED
);

CREATE TABLE "person" (
  "id" INTEGER PRIMARY KEY,
  "name" VARCHAR(80) NOT NULL,
  "email" VARCHAR(120),
  "boss_id" INTEGER,
  "employer_id" INTEGER,
  CONSTRAINT "uq_person_email" UNIQUE ("email"),
  CONSTRAINT "uq_person_name_employer_id" UNIQUE ("name", "employer_id"),
  CONSTRAINT "ck_person_length_name_0" CHECK (length(name) > 0),
  CONSTRAINT "nobody_is_his_own_boss" CHECK (boss_id <> id),
  CONSTRAINT "fk_person_boss_id" FOREIGN KEY ("boss_id") REFERENCES "person" ("id") ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT "fk_person_employer_id" FOREIGN KEY ("employer_id") REFERENCES "company" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

CREATE TABLE "contribution" (
  "article_id" INTEGER NOT NULL,
  "person_id" INTEGER NOT NULL,
  "share" NUMERIC TEXT(5, 2) COLLATE decimal NOT NULL,
  CONSTRAINT "pk_contribution" PRIMARY KEY ("article_id", "person_id"),
  CONSTRAINT "share_is_percent" CHECK (share BETWEEN 0 AND 100.00),
  CONSTRAINT "fk_contribution_article_id" FOREIGN KEY ("article_id") REFERENCES "article" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "fk_contribution_person_id" FOREIGN KEY ("person_id") REFERENCES "person" ("id") ON UPDATE CASCADE
);

CREATE TABLE "badge" (
  "person_id" INTEGER NOT NULL,
  "code" VARCHAR(8) NOT NULL,
  CONSTRAINT "pk_badge" PRIMARY KEY ("person_id"),
  CONSTRAINT "fk_badge_person_id" FOREIGN KEY ("person_id") REFERENCES "person" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE "tag" (
  "id" INTEGER PRIMARY KEY,
  "name" TEXT NOT NULL
);

CREATE TABLE "country" (
  "code" VARCHAR(2) NOT NULL,
  CONSTRAINT "pk_country" PRIMARY KEY ("code")
);

CREATE TABLE "article_tags" (
  "article_id" INTEGER NOT NULL,
  "tag_id" INTEGER NOT NULL,
  CONSTRAINT "pk_article_tags" PRIMARY KEY ("article_id", "tag_id"),
  CONSTRAINT "fk_article_tags_article_id" FOREIGN KEY ("article_id") REFERENCES "article" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "fk_article_tags_tag_id" FOREIGN KEY ("tag_id") REFERENCES "tag" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE "article_sources" (
  "from_article_id" INTEGER NOT NULL,
  "to_article_id" INTEGER NOT NULL,
  CONSTRAINT "pk_article_sources" PRIMARY KEY ("from_article_id", "to_article_id"),
  CONSTRAINT "fk_article_sources_from_article_id" FOREIGN KEY ("from_article_id") REFERENCES "article" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "fk_article_sources_to_article_id" FOREIGN KEY ("to_article_id") REFERENCES "article" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE "printed_in" (
  "article_id" INTEGER NOT NULL,
  "country_id" VARCHAR(2) NOT NULL,
  CONSTRAINT "pk_printed_in" PRIMARY KEY ("article_id", "country_id"),
  CONSTRAINT "fk_printed_in_article_id" FOREIGN KEY ("article_id") REFERENCES "article" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "fk_printed_in_country_id" FOREIGN KEY ("country_id") REFERENCES "country" ("code") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE TABLE "article_rooms" (
  "article_id" INTEGER NOT NULL,
  "room_building" VARCHAR(10) NOT NULL,
  "room_number" INTEGER NOT NULL,
  CONSTRAINT "pk_article_rooms" PRIMARY KEY ("article_id", "room_building", "room_number"),
  CONSTRAINT "fk_article_rooms_article_id" FOREIGN KEY ("article_id") REFERENCES "article" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "fk_article_rooms_room_building_room_number" FOREIGN KEY ("room_building", "room_number") REFERENCES "room" ("building", "RoomNo") ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE INDEX "ix_report_statistic_id" ON "report" ("statistic_id");

CREATE INDEX "ix_booking_room_building_room_number" ON "booking" ("room_building", "room_number");

CREATE INDEX "ix_company_owner_id" ON "company" ("owner_id");

CREATE INDEX "ix_person_name" ON "person" ("name");

CREATE INDEX "ix_person_boss_id" ON "person" ("boss_id");

CREATE INDEX "ix_person_employer_id" ON "person" ("employer_id");

CREATE INDEX "ix_person_name_boss_id" ON "person" ("name", "boss_id");

CREATE UNIQUE INDEX "active_email" ON "person" ("email") WHERE email IS NOT NULL;

CREATE INDEX "ix_contribution_person_id" ON "contribution" ("person_id");

CREATE INDEX "ix_article_tags_tag_id" ON "article_tags" ("tag_id");

CREATE INDEX "ix_article_sources_to_article_id" ON "article_sources" ("to_article_id");

CREATE INDEX "ix_printed_in_country_id" ON "printed_in" ("country_id");

CREATE INDEX "ix_article_rooms_room_building_room_number" ON "article_rooms" ("room_building", "room_number");

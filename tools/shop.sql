-- The records of the shop: made once, on first use, in one transaction. Safe to run again.
BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS products (
    sku TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    price REAL NOT NULL,      -- euros
    stock INTEGER NOT NULL,   -- pieces on the shelf of the main shop
    restock TEXT              -- when the next delivery is due, if the shelf is empty
);

CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    quantity INTEGER NOT NULL,
    sku TEXT NOT NULL REFERENCES products (sku),
    status TEXT NOT NULL CHECK (
        status IN ('waiting for payment', 'waiting for stock', 'packed', 'shipped', 'ready', 'delivered', 'cancelled')
    ),
    carrier TEXT,
    day TEXT NOT NULL         -- the day that matters for this status
);

CREATE TABLE IF NOT EXISTS returns (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE REFERENCES orders (id),
    reason TEXT NOT NULL
);

INSERT OR IGNORE INTO products (sku, name, price, stock, restock) VALUES
    ('BK-301', 'Trekking bike Alder T5', 1149.00, 6, NULL),
    ('BK-302', 'City bike Alder C3', 749.00, 9, NULL),
    ('BK-303', 'E-bike Alder Volt', 2690.00, 4, NULL),
    ('BK-304', 'Cargo bike Alder Haul', 3890.00, 0, '9 July 2026'),
    ('BK-305', 'Kids bike Pip 20', 319.00, 11, NULL),
    ('HE-110', 'Helmet Aspen M', 64.90, 17, NULL),
    ('HE-111', 'Helmet Aspen L', 64.90, 0, '24 June 2026'),
    ('HE-120', 'Kids helmet Finch', 39.90, 13, NULL),
    ('JA-210', 'Rain jacket Moor M', 79.00, 5, NULL),
    ('JA-211', 'Rain jacket Moor L', 79.00, 8, NULL),
    ('GL-220', 'Gloves Moor L', 18.50, 26, NULL),
    ('PU-110', 'Floor pump Gale', 32.00, 23, NULL),
    ('LO-130', 'Folding lock Keystone', 54.00, 14, NULL),
    ('LO-131', 'U-lock Bastion', 72.00, 0, '30 June 2026'),
    ('TU-140', 'Inner tube 47-622', 7.50, 88, NULL),
    ('TY-147', 'Tyre City Guard 47-622', 34.00, 31, NULL),
    ('TR-150', 'Child trailer Nook', 429.00, 0, '26 June 2026'),
    ('LI-160', 'Rear light Glow', 24.00, 37, NULL),
    ('BA-170', 'Pannier bag Ferry', 59.00, 19, NULL),
    ('CA-180', 'Bottle cage Twig', 9.50, 42, NULL);

INSERT OR IGNORE INTO orders (id, quantity, sku, status, carrier, day) VALUES
    ('FC-1038', 1, 'LO-130', 'delivered', 'Postline', '20 May 2026'),
    ('FC-1039', 1, 'JA-210', 'delivered', 'Postline', '2 June 2026'),
    ('FC-1040', 1, 'BK-305', 'cancelled', NULL, '3 June 2026'),
    ('FC-1041', 2, 'TU-140', 'delivered', 'Postline', '8 June 2026'),
    ('FC-1042', 1, 'BK-301', 'shipped', 'Heron Freight', '12 June 2026'),
    ('FC-1043', 1, 'PU-110', 'packed', 'Postline', '11 June 2026'),
    ('FC-1044', 1, 'GL-220', 'shipped', 'Postline', '15 June 2026'),
    ('FC-1045', 1, 'HE-110', 'ready', NULL, '21 June 2026'),
    ('FC-1046', 1, 'TR-150', 'waiting for stock', 'Heron Freight', '26 June 2026'),
    ('FC-1047', 1, 'BK-302', 'shipped', 'Heron Freight', '17 June 2026'),
    ('FC-1048', 1, 'BK-303', 'waiting for payment', 'Heron Freight', '16 June 2026'),
    ('FC-1049', 3, 'LI-160', 'packed', 'Postline', '13 June 2026');

COMMIT;

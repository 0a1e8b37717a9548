CREATE OR REFRESH STREAMING LIVE TABLE invoices AS SELECT * FROM cloud_files('/data', 'json');

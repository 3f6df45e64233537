# The origin and the secret that it expects (user_agent_secrets of its endpoints). Copy this file and change both.
backend origin {
    .host = "127.0.0.1";
    .port = "8080";
    .first_byte_timeout = 30s;
    .between_bytes_timeout = 30s;
}

sub origin_secret {
    set bereq.http.User-Agent = "change-me";
}

# docs/guides/install.md says how to run it: beyond loopback Switchyard demands client keys.
FROM python:3.13-slim
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY switchyard switchyard
COPY static static
RUN pip install --no-cache-dir --no-deps . && install -d -o 1000 -g 1000 -m 700 /data
ENV SWITCHYARD_HOST=0.0.0.0 SWITCHYARD_DATA=/data PYTHONUNBUFFERED=1
USER 1000:1000
VOLUME /data
EXPOSE 5101
ENTRYPOINT ["switchyard"]
